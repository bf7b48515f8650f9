"""Places are read in the five languages of the campus; what is no place is not taken for one."""

import pytest

from ticket_svc.places import compare_places, find_places


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("projector, hall 1", {"room": {"1"}}),
        ("Lecture hall two is dark", {"room": {"2"}}),
        ("Aula n. 3, proiettore spento", {"room": {"3"}}),
        ("Beamer in Hörsaal 2 defekt", {"room": {"2"}}),
        ("Seminarraum 5", {"room": {"5"}}),
        ("salle n° 220, 3e étage", {"room": {"220"}, "floor": {"3"}}),
        ("habitación 12, tercer piso", {"room": {"12"}, "floor": {"3"}}),
        ("room B 12", {"room": {"b12"}}),
        ("It is cold in B12.", {"room": {"b12"}}),
        ("A-1.04 has no light", {"room": {"a104"}}),
        ("3rd floor", {"floor": {"3"}}),
        ("floor 3", {"floor": {"3"}}),
        ("terzo piano", {"floor": {"3"}}),
        ("3° piano", {"floor": {"3"}}),
        ("piano terra", {"floor": {"0"}}),
        ("planta baja", {"floor": {"0"}}),
        ("rez-de-chaussée", {"floor": {"0"}}),
        ("2. Stock", {"floor": {"2"}}),
        ("im 1. OG", {"floor": {"1"}}),
        ("room 12 floor 3", {"room": {"12"}, "floor": {"3"}}),
        ("Gebäude C, Raum 220", {"building": {"c"}, "room": {"220"}}),
        ("bâtiment C", {"building": {"c"}}),
        ("the Turing building", {"building": {"turing"}}),
        ("microfono muto in aula magna", {"room": {"magna"}}),
        ("aula Galilei", {"room": {"galilei"}}),
        ("The printer takes A4 paper only", {}),
        ("The floor is wet and the hall is cold", {}),
        ("Hörsaal Beamer defekt", {}),
        ("", {}),
    ],
)
def test_a_text_names_its_places(text, places):
    assert find_places(text) == places


@pytest.mark.parametrize(
    ("one", "other", "equal", "different"),
    [
        ("projector, hall 1", "Beamer in Hörsaal 1", 1, 0),
        ("projector, hall 1", "projector, hall 2", 0, 1),
        ("AC, building D, 3rd floor", "aria condizionata, edificio D, primo piano", 1, 1),
        ("lift in building C", "lift on the third floor", 0, 0),
        ("no Wi-Fi", "no Wi-Fi in hall 1", 0, 0),
        ("rooms 3 and room 4", "room 4", 1, 0),
    ],
)
def test_two_texts_agree_differ_or_say_nothing(one, other, equal, different):
    assert compare_places(one, other) == (equal, different) == compare_places(other, one)

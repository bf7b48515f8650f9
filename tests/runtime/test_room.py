from runtime.room import Room
from runtime.senders import network_of


class Guest:
    def __init__(self) -> None:
        self.is_cut = False

    def cut(self) -> None:
        self.is_cut = True


def test_the_address_with_the_most_makes_room_and_its_longest_unused_first() -> None:
    room = Room()
    alone, *many = (Guest() for _ in range(4))
    room.enter(alone, "a")
    for guest in many:
        room.enter(guest, "b")
    room.enter(many[0], "b")  # used again
    assert room.make(3) == 1
    assert [guest.is_cut for guest in (alone, *many)] == [False, False, True, False]


def test_who_has_left_is_never_ended_and_nothing_stays_behind() -> None:
    room = Room()
    gone, there = Guest(), Guest()
    room.enter(gone, "a")
    room.enter(there, "a")
    room.leave(gone, "a")
    room.leave(gone, "a")
    assert (room.count, room.make(1), room.make(0)) == (1, 0, 1)
    assert (gone.is_cut, there.is_cut) == (False, True)
    assert (room.count, room._by_address) == (0, {})


def test_a_network_of_ipv6_is_one_sender() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::2:1") != network_of("2001:db9::1")
    assert network_of("::ffff:10.0.0.1") == "10.0.0.1"
    assert network_of("") == ""

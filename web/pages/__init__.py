"""One module a page: parse, ask, respond. The template has the same stem."""

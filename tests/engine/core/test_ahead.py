"""Reading ahead: order, errors, and that it is ahead."""

import threading

import pytest
from landslide_mapper.landslide_plugin.contract.errors import InputError
from landslide_mapper.landslide_plugin.core.ahead import read_ahead


def test_read_ahead_keeps_the_order_and_passes_errors_on():
    def work(number):
        if number == 5:
            raise InputError("damaged")
        return 10 * number

    seen = []
    with pytest.raises(InputError, match="damaged"):
        for item in read_ahead(work, range(9), threads=3):
            seen.append(item)
    assert seen == [0, 10, 20, 30, 40]


def marking(made):
    """Return work that sets the event of its item."""

    def work(number):
        made[number].set()
        return number

    return work


def test_read_ahead_makes_the_next_item_while_one_is_worked_on():
    written = [threading.Event() for _ in range(3)]
    for number in read_ahead(marking(written), range(3)):
        assert written[min(number + 1, 2)].wait(60)


def test_read_ahead_makes_as_many_as_asked_for_and_no_more():
    written = [threading.Event() for _ in range(9)]
    reader = read_ahead(marking(written), range(9), ahead=4)
    assert next(reader) == 0
    assert all(one.wait(60) for one in written[:5])
    reader.close()
    assert not any(one.is_set() for one in written[5:])

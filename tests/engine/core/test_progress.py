"""What is told on the way: handed on, each text once, and kept."""

from landslide_mapper.landslide_plugin.core.progress import Listening, Progress


def test_equal_parts_follow_each_other():
    told = []
    for part in Progress(told.append, 0, 0.6).parts(3):
        part.update(0)
        part.update(1)
    assert [event["percent"] for event in told] == [0, 20, 20, 40, 40, 60]


def test_who_listens_hands_on_each_text_once_and_keeps_it():
    told = []
    heard = Listening(Progress(told.append, 0.5, 1))
    for text in ("opened", "opened"):
        heard.message(text)
        heard.part(0, 0.5).warning("no CRS")
    heard.part(0.5, 1).update(0.5)
    assert told == [
        {"type": "message", "text": "opened"},
        {"type": "warning", "text": "no CRS"},
        {"type": "progress", "percent": 87.5},
    ]
    assert heard.texts == ["opened", "no CRS"] and heard.warnings == ["no CRS"]

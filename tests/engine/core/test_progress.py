"""What is told on the way: handed on, each text once, and kept."""

from landslide_mapper.landslide_plugin.core.progress import Listening, Progress


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

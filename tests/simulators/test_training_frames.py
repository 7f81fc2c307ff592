"""Training pictures: pairs of picture and labels, boxes inside, the same for the same seed."""

from pathlib import Path

import cv2
import pytest

from simulators.renderer import Label
from simulators.training_frames import frames, main, yolo_lines
from simulators.world import CLASSES


def test_only_visible_and_large_things_are_labelled() -> None:
    labels = [
        Label("dump", (100.0, 50.0, 149.0, 99.0), 0.9, 2, "dump-01"),
        Label("vehicle", (0.0, 0.0, 40.0, 40.0), 0.2, 3, ""),
        Label("person", (10.0, 10.0, 12.0, 30.0), 1.0, 4, ""),
        Label("flood", (0.0, 0.0, 99.0, 99.0), 0.1, 5, "flooding-01"),
    ]
    dump, flood = "0 0.125000 0.150000 0.050000 0.100000", "1 0.050000 0.100000 0.100000 0.200000"
    assert yolo_lines(labels, 1000, 500) == [dump, flood]


@pytest.mark.slow
def test_pictures_and_labels_come_in_pairs_and_repeat(tmp_path: Path) -> None:
    written = list(frames([3001], 6, tmp_path / "a"))
    assert len(written) == 6
    for path, lines in written:
        height, width = cv2.imread(str(path)).shape[:2]
        assert (width, height) in ((640, 640), (1280, 720))
        assert (tmp_path / "a" / "labels" / f"{path.stem}.txt").read_text().splitlines() == lines
        for line in lines:
            kind, x, y, wide, high = (float(v) for v in line.split())
            assert 0 <= kind < len(CLASSES)
            assert x - wide / 2 > -1e-3
            assert x + wide / 2 < 1.003
            assert y - high / 2 > -1e-3
            assert y + high / 2 < 1.003
    assert any(lines for _, lines in written)
    main(["--seeds", "3001", "--per-seed", "2", "--out", str(tmp_path / "b")])
    for path, lines in written[:2]:
        assert (tmp_path / "b" / "images" / path.name).read_bytes() == path.read_bytes()
        assert (tmp_path / "b" / "labels" / f"{path.stem}.txt").read_text().splitlines() == lines

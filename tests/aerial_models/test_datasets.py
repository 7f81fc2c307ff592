"""From labelled pictures to crops."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from aerial_models import datasets
from aerial_models.datasets import (
    CITY_CLASSES,
    PICTURE_SETS,
    LabelledPicture,
    clip_boxes,
    crops,
    read_frames,
    read_yolo,
)
from aerial_models.errors import SourceGarbage, SourceUnreachable

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
VEHICLE, PERSON = CITY_CLASSES.index("vehicle"), CITY_CLASSES.index("person")


def write(folder: Path, name: str, labels: str, width: int = 1280, height: int = 720) -> Path:
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    cv2.imwrite(str(folder / "images" / f"{name}.jpg"), image)
    (folder / "labels" / f"{name}.txt").write_text(labels)
    return folder / "images" / f"{name}.jpg"


def test_yolo_text_goes_there_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 500, (50, 2))
    xyxy = np.hstack([corner, corner + rng.uniform(2, 200, (50, 2))]).astype(np.float32)
    ids = rng.integers(0, 7, 50).astype(np.int32)
    picture = write(tmp_path, "a", datasets.yolo_text(xyxy, ids, 1280, 720))
    read = read_yolo(picture, tmp_path / "labels" / "a.txt", dict(enumerate(CITY_CLASSES)))
    np.testing.assert_allclose(read.xyxy, xyxy, atol=2e-3)
    assert read.class_id.tolist() == ids.tolist()


def test_foreign_classes_are_mapped_and_unknown_ones_dropped(tmp_path: Path) -> None:
    picture = write(tmp_path, "a", "2 0.5 0.5 0.1 0.1\n4 0.2 0.2 0.1 0.1\n")
    read = read_yolo(picture, tmp_path / "labels" / "a.txt", {0: "vehicle", 2: "vehicle"}, frozenset({"person"}))
    assert read.class_id.tolist() == [VEHICLE]
    np.testing.assert_allclose(read.xyxy[0], [576, 324, 704, 396])


def test_boxes_at_a_window_are_cut_or_left_out() -> None:
    xyxy = np.asarray([[10, 10, 30, 30], [90, 50, 130, 60], [98, 10, 118, 20], [-400, -400, 500, 500]], np.float32)
    seen, ids = clip_boxes(xyxy, np.arange(4, dtype=np.int32), (0, 0, 110, 110))
    # the second lies half inside; the third is cut to 12 of 20 px; the huge one stays for its area
    assert ids.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(seen, [[10, 10, 30, 30], [90, 50, 110, 60], [98, 10, 110, 20], [0, 0, 110, 110]])
    seen, ids = clip_boxes(xyxy, np.arange(4, dtype=np.int32), (100, 0, 210, 40))
    assert ids.tolist() == [2]
    np.testing.assert_allclose(seen, [[0, 10, 18, 20]])


def test_crops_keep_the_scale_and_put_boxes_on_the_things(tmp_path: Path) -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    boxes = np.asarray([[100, 100, 130, 115], [900, 600, 940, 630]], np.float32)
    for x0, y0, x1, y1 in boxes.astype(int):
        image[y0:y1, x0:x1] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    picture = LabelledPicture(tmp_path / "a.png", boxes, np.asarray([VEHICLE, VEHICLE], np.int32))
    found = 0
    for crop in crops(picture, np.random.default_rng(0), 20, (320, 320)):
        assert crop.image.shape == (320, 320, 3)
        inside = np.zeros((320, 320), bool)
        for x0, y0, x1, y1 in np.round(crop.xyxy).astype(int):
            inside[y0:y1, x0:x1] = True
        assert (crop.image[..., 0] > 128)[inside].all()
        found += len(crop.xyxy)
    assert found >= 12


def test_a_picture_smaller_than_a_crop_is_padded(tmp_path: Path) -> None:
    picture = write(tmp_path, "small", f"{PERSON} 0.5 0.5 0.5 0.5\n", 200, 100)
    read = read_yolo(picture, tmp_path / "labels" / "small.txt", dict(enumerate(CITY_CLASSES)))
    (crop,) = crops(read, np.random.default_rng(0), 1, (320, 320))
    assert (crop.image[100:] == 114).all()
    np.testing.assert_allclose(crop.xyxy, [[50, 25, 150, 75]])


def test_written_crops_say_what_is_not_labelled_and_are_the_same_each_time(tmp_path: Path) -> None:
    write(tmp_path / "in", "f1", f"{VEHICLE} 0.5 0.5 0.1 0.1\n")
    (frame,) = read_frames(tmp_path / "in")
    sparse = LabelledPicture(frame.path, frame.xyxy, frame.class_id, frozenset({"person", "fire"}))
    rows = [
        datasets.write_crops([(sparse, 3)], tmp_path / out, (320, 320), np.random.default_rng(4), worn=True)
        for out in "ab"
    ]
    assert [r["sha256"] for r in rows[0]] == [r["sha256"] for r in rows[1]]
    assert all(str(r["file"]).endswith("~fire~person.jpg") for r in rows[0])
    assert len(list((tmp_path / "a" / "labels").glob("*~fire~person.txt"))) == 3


def test_broken_and_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="holds no frames"):
        read_frames(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(SourceGarbage, match=r"bad\.jpg"):
        read_frames(tmp_path)


@pytest.mark.parametrize("of", PICTURE_SETS, ids=lambda s: s.folder)
def test_real_sets_are_read_and_held_out_pictures_are_not_trained_on(of: datasets.PictureSet) -> None:
    if not (DATA / "pictures" / of.folder).exists():
        pytest.skip(f"no {DATA / 'pictures' / of.folder}")
    used = datasets.read_set(DATA / "pictures", of, heldout=False)
    held = datasets.read_set(DATA / "pictures", of, heldout=True)
    assert held
    assert not {p.path for p in used} & {p.path for p in held}
    assert sum(datasets.box_counts(held).values()) > 0

"""What users of Keras, fastai, Ultralytics and torchvision report of their folders.

Each kind: where it was reported, what is made beside 12 photos of cats and dogs each,
and the right answer: how many images, of which classes, or what is said.
"""

from collections.abc import Callable

from tests.strangers.folders import Photos

Right = tuple[int, tuple[str, ...]] | str
PLAIN = (24, ("cat", "dog"))


def _add(*names: str, **options) -> Callable[[Photos], object]:
    return lambda photos: [photos.add(name, **options) for name in names]


def _file(*names: str, content: bytes = b"x") -> Callable[[Photos], object]:
    return lambda photos: [photos.file(name, content) for name in names]


def _folder(name: str) -> Callable[[Photos], object]:
    return lambda photos: (photos.root / name).mkdir(parents=True)


def _moved(photos: Photos, to: str) -> None:
    """All photos to other places; `to` has {c} for the class and {n} for the name."""
    for file in list(photos.root.glob("*/*.png")):
        target = photos.root / to.format(c=file.parent.name, n=file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    for label in ("cat", "dog"):
        (photos.root / label).rmdir()


REPORTED: dict[str, tuple[str, Callable[[Photos], object], Right]] = {
    "a notebook's folder": (
        "tensorflow/tensorflow#46595", _add(".ipynb_checkpoints/a.png"), PLAIN),
    "a notebook's folder in a class": (
        "pytorch/vision#2831", _add("cat/.ipynb_checkpoints/0-checkpoint.png"), PLAIN),
    "macOS's file beside the classes": (
        "pytorch/vision#79", _file(".DS_Store"), PLAIN),
    "macOS's shadows on a stick": (
        "pytorch/vision#79", _file("cat/._0.png", "dog/._1.png"), PLAIN),
    "suffixes in capitals": (
        "pytorch/vision#446", _add("cat/a.JPEG", "dog/b.JPG", form="JPEG"),
        (26, ("cat", "dog"))),
    "an empty folder of a class": (
        "layumi/University1652-Baseline#46", _folder("1057"), PLAIN),
    "photos beside the classes": (
        "pytorch/vision#707", _add("a.png", "b.png"), PLAIN),
    "all photos in one folder": (
        "replicate/lora-training#9", lambda p: _moved(p, "{c}{n}"),
        "24 in no class folder: make a folder for each class"),
    "one folder too much": (
        "pytorch/examples#928", lambda p: _moved(p, "data/{c}/{n}"),
        "found one, 'data', with the folders cat, dog in it"),
    "valid for val": (
        "ultralytics/ultralytics#4310", lambda p: _moved(p, "train/{c}/{n}")
        or p.classes("valid/{c}/{i}.png"), (48, ("cat", "dog"))),
    "runs of a trainer beside": (
        "ultralytics/ultralytics#4310", lambda p: _moved(p, "train/{c}/{n}")
        or p.classes("validation/{c}/{i}.png") or _add("runs/train/batch0.jpg",
        form="JPEG")(p), (48, ("cat", "dog"))),
    "formats of today": (
        "ultralytics/ultralytics#25749", lambda p: _add("cat/a.avif", form="AVIF")(p)
        + _add("dog/b.webp", form="WEBP")(p), (26, ("cat", "dog"))),
    "a suffix that lies": (
        "files from the web", _add("cat/a.jpg", "dog/b.png", form="WEBP"),
        (26, ("cat", "dog"))),
    "annotations beside each photo": (
        "ultralytics/yolov5#6383", _file("cat/0.txt", "cat/1.txt", "classes.txt"),
        PLAIN),
    "a film of a live photo": (
        "phones", _file("cat/IMG_1.MOV", content=b"\0\0\0\x14ftypqt  "), PLAIN),
    "spaces and signs in names": (
        "mikeyEcology/MLWIC2#4", _add("cat/a b#1 (2)%20+é.png", "dog/-x.png"),
        (26, ("cat", "dog"))),
    "numbers as classes": (
        "open-mmlab/mmpretrain#507", lambda p: _moved(p, "00{c}/{n}"),
        (24, ("00cat", "00dog"))),
    "Windows's thumbnails": ("folders of Windows", _file("cat/Thumbs.db"), PLAIN),
    "a class within a class": (
        "keras-team/keras#14042", _add("cat/persian/a.png"), (25, ("cat", "dog"))),
    "images and labels of a detector": (
        "ultralytics/yolov5#6383", lambda p: _moved(p, "images/{c}/{n}")
        or _file("labels/cat/0.txt")(p), "found one, 'images', with the folders cat"),
    "a link that leads nowhere": (
        "folders of links", lambda p: (p.root / "cat" / "gone.png").symlink_to("no"),
        (25, ("cat", "dog"))),
}  # fmt: skip

"""Near-duplicates, drift, severities, the schema's file and the page of statistics."""

import html.parser
import io
import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from scipy import fft
from scipy.spatial import distance

from dlkeras.pipeline import ExampleGenConfig, SchemaGenConfig, StatisticsGenConfig, run
from dlkeras.pipeline.artifacts.types import Examples, ImageSchema
from dlkeras.pipeline.components.example_gen import example_gen
from dlkeras.pipeline.components.example_validator import find_anomalies, format_anomaly
from dlkeras.pipeline.components.statistics_gen import statistics_gen
from dlkeras.pipeline.examples.drift import jensen_shannon
from dlkeras.pipeline.examples.overview.near_duplicates import (
    _Correlation,
    near_duplicate_pairs,
    perceptual_hashes,
    small_grey,
    thumbnails,
)
from dlkeras.pipeline.examples.schema import DriftRules, load_schema, to_toml
from dlkeras.pipeline.store.errors import InputError
from dlkeras.pipeline.store.publishing import Store


def photograph(seed: int, size: int = 64) -> Image.Image:
    """Noise whose amplitude falls with the frequency, as that of photographs does."""
    random = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    white = np.fft.fft2(random.normal(size=(3, size, size)))
    pink = np.fft.ifft2(white / np.maximum(frequency, 1 / size)).real
    pink = pink[:1] + 0.3 * pink  # the channels are alike
    levels = 128 + 50 * (pink - pink.mean()) / pink.std()
    return Image.fromarray(levels.clip(0, 255).astype("uint8").transpose(1, 2, 0))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def small(images) -> np.ndarray:
    return np.stack([small_grey(np.asarray(image)) for image in images])


# Near-duplicates ----------------------------------------------------------------------


def test_the_perceptual_hash_is_the_sign_of_scipys_cosine_transform():
    images = small([photograph(seed) for seed in range(20)])
    for image, found in zip(images, perceptual_hashes(images), strict=True):
        low = fft.dctn(image.astype(float), type=2)[:8, :8].ravel()
        # SciPy's transform is not weighted; ours is neither, but for rounded cosines.
        bits = low > np.median(low[1:])
        bits[0] = False
        expected = int("".join("01"[int(bit)] for bit in bits), 2)
        assert (expected ^ int(found)).bit_count() <= 1


@pytest.mark.parametrize(
    "change",
    [
        lambda image: jpeg(image, 50),
        lambda image: image.resize((40, 48)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: image.convert("L").convert("RGB"),
    ],
    ids=["jpeg", "resized", "darker", "grey"],
)
def test_a_changed_copy_is_a_near_duplicate_and_other_images_are_none(change):
    originals = [photograph(seed) for seed in range(60)]
    images = small([*originals, *(change(image) for image in originals)])
    digests = np.array([str(n) for n in range(120)])
    pairs, complete = near_duplicate_pairs(
        perceptual_hashes(images), thumbnails(images), digests
    )
    assert complete
    found = {tuple(pair) for pair in pairs.tolist()}
    expected = {(n, n + 60) for n in range(60)}
    assert found <= expected
    assert len(found) >= 57  # 95 %


def test_exact_copies_are_no_near_duplicates():
    images = small([photograph(1), photograph(1), photograph(2)])
    pairs, _ = near_duplicate_pairs(
        perceptual_hashes(images), thumbnails(images), np.array(["a", "a", "b"])
    )
    assert pairs.shape == (0, 2)


def test_each_frame_of_a_long_film_is_a_near_duplicate_of_some_others():
    """3,000 frames are 4,498,500 pairs: not all are looked for, and that is said."""
    frame = small([photograph(0)])[0].astype(int)
    random = np.random.default_rng(0)
    film = np.stack([frame + random.integers(-3, 4, (32, 32)) for _ in range(3000)])
    film = film.clip(0, 255).astype("uint8")
    pairs, complete = near_duplicate_pairs(
        perceptual_hashes(film), thumbnails(film), np.arange(3000).astype(str)
    )
    assert not complete
    assert len(np.unique(pairs)) == 3000
    assert len(pairs) < 3000 * 300 * 6
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    assert (pairs[:, 0] < pairs[:, 1]).all()


def test_the_correlation_of_thumbnails_is_numpys():
    images = small([photograph(seed) for seed in range(30)])
    both = np.concatenate([images, 255 - images])
    tiny = thumbnails(both).astype(float)
    expected = np.corrcoef(tiny)
    one, other = np.triu_indices(60, 1)
    found = _Correlation(thumbnails(both))(one, other)
    assert np.allclose(found, expected[one, other], atol=1e-12)


@pytest.fixture(scope="module")
def leaky(tmp_path_factory):
    """Statistics of a folder whose test split repeats images of train, recompressed."""
    root = tmp_path_factory.mktemp("leaky")
    for number in range(60):
        label = ("cat", "dog")[number % 2]
        split = ("train", "train", "test")[number % 3]
        place = root / "photos" / split / label
        place.mkdir(parents=True, exist_ok=True)
        photograph(number).save(place / f"{number}.png")
        if number % 12 == 0:
            copies = root / "photos" / "test" / label
            copies.mkdir(parents=True, exist_ok=True)
            jpeg(photograph(number), 60).save(copies / f"copy of {number}.png")
    store = Store(root / "store")
    options = {
        "pipeline": "p",
        "config": {},
        "inputs": {},
        "versions": {},
        "run_id": "r",
    }
    with store.publish(Examples, key="k" * 64, producer="E", **options) as draft:
        config = ExampleGenConfig(image_folder=root / "photos")
        example_gen(config, draft, root)
    examples = store.find(Examples, "k" * 64)
    from dlkeras.pipeline.artifacts.types import Statistics

    with store.publish(Statistics, key="s" * 64, producer="S", **options) as draft:
        statistics_gen(StatisticsGenConfig(gallery_size=2), draft, examples)
    return store.find(Statistics, "s" * 64)


def test_near_duplicates_across_splits_are_found_and_named(leaky):
    summary = leaky.summary
    found = {(pair["one"], pair["other"]) for pair in summary["near_duplicate_pairs"]}
    for number in (0, 24, 36, 48):  # 12 mod 3 = 0: train, as 0, 24, 36 and 48 are
        copies = [
            p for p in found if any(f"copy of {number}.png" in name for name in p)
        ]
        assert copies, number
    assert summary["near_duplicates"]["across"] >= 3
    named = [name for names in summary["near_leaked"].values() for name in names]
    assert all("copy of" in name or "/" in name for name in named)


def test_the_digest_of_statistics_is_that_of_the_content(leaky, tmp_path):
    """Figures and timings vary; what was found does not."""
    store = Store(leaky.path.parents[1])
    examples = store.find(Examples, "k" * 64)
    from dlkeras.pipeline.store.publishing import Draft

    draft = Draft(tmp_path)
    statistics_gen(StatisticsGenConfig(gallery_size=2), draft, examples)
    assert draft.digest == leaky.record.digest
    assert draft.properties["images_per_second"] > 0


def test_statistics_tell_formats_sizes_and_channels(leaky):
    train = leaky.summary["splits"]["train"]
    assert train["formats"] == {"PNG": train["examples"]}
    assert train["height"] == [64, 64]
    table = leaky.table[leaky.table.split == "train"]
    assert train["brightness"]["50%"] == pytest.approx(table["mean"].median(), abs=1e-5)
    assert len(train["channel_mean"]) == 3
    assert np.mean(train["channel_mean"]) == pytest.approx(train["pixel_mean"])
    assert sum(train["brightness_histogram"]) == train["examples"]


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.text = [], []

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_one_file_that_needs_no_other(leaky):
    text = (leaky.path / "statistics.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert len(page.sources) > 4
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not re.search(r"https?://|@import|url\(", text)
    assert "Splits" in page.text


# Severities and drift -----------------------------------------------------------------

SCHEMA = ImageSchema(
    labels=("cat", "dog"), channels=3, min_height=8, max_height=64, min_width=8,
    max_width=64, min_examples_per_class=1,
)  # fmt: skip


def table() -> pd.DataFrame:
    rows = [
        {"id": f"{split}-{label}-{n}", "split": split, "label": label, "height": 8,
         "width": 8, "channels": 3, "dtype": "uint8", "sha256": f"{split}-{label}-{n}"}
        for split in ("train", "validation", "test")
        for label in ("cat", "dog")
        for n in range(20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_imbalance_and_duplicates_warn_and_leaks_stop():
    frame = table()
    frame = frame[~((frame.split == "train") & (frame.label == "dog")
                    & (frame.index % 20 > 0))]  # fmt: skip
    schema = SCHEMA.model_copy(update={"max_class_imbalance": 10.0})
    (anomaly,) = find_anomalies(frame, schema)
    assert anomaly["severity"] == "warn"
    assert (anomaly["bound"], anomaly["value"]) == (10.0, 20.0)
    assert anomaly["examples"] == ["train-dog-0"]

    frame = table()
    frame.loc[frame.index[:5], "sha256"] = "the same"
    (anomaly,) = find_anomalies(frame, SCHEMA)
    assert (anomaly["key"], anomaly["severity"]) == ("max_duplicate_share", "warn")
    assert anomaly["value"] == pytest.approx(4 / 40)

    frame.loc[frame.index[-1], "sha256"] = "the same"
    stops = [a for a in find_anomalies(frame, SCHEMA) if a["severity"] == "stop"]
    assert [a["key"] for a in stops] == ["max_leaked_share", "max_contradictions"]
    assert stops[0]["value"] == pytest.approx(1 / 80)
    assert stops[0]["examples"] == ["test-dog-19"]


def test_at_most_20_offenders_are_named():
    frame = table()
    frame["channels"] = 1
    (anomaly,) = find_anomalies(frame, SCHEMA)
    assert anomaly["count"] == 120
    assert len(anomaly["examples"]) == 20


def test_a_hundred_thousand_classes_of_one_image_are_told_in_some_lines():
    labels = [f"class {number:05d}" for number in range(100_000)]
    frame = pd.DataFrame(
        {"id": labels, "label": labels, "sha256": labels, "split": "train",
         "height": 8, "width": 8, "channels": 3, "dtype": "uint8"}
    )  # fmt: skip
    frame.loc[:29_999, "split"] = "test"
    schema = SCHEMA.model_copy(update={"labels": tuple(labels)})
    found = find_anomalies(frame, schema)
    assert len(found) == 3 * 21
    rest = [a for a in found if a["rule"].startswith("examples of each of")]
    assert [a["rule"].split()[4] for a in rest] == ["29,980", "99,980", "69,980"]
    assert all((a["bound"], a["value"]) == (1, 0) for a in rest)
    (label, *_) = find_anomalies(frame, SCHEMA)
    assert label["count"] == 100_000 and len(label["examples"]) == 20
    assert len(format_anomaly(label)) < 1000
    assert "(100,000 in all)" in format_anomaly(label)


def test_jensen_shannon_is_scipys_squared():
    random = np.random.default_rng(0)
    for _ in range(20):
        p, q = random.random(16), random.random(16)
        p[:4] = 0
        expected = distance.jensenshannon(p, q, base=2) ** 2
        assert jensen_shannon(p, q) == pytest.approx(expected, abs=1e-12)


def test_drift_of_classes_pixels_and_brightness_is_told(leaky):
    now = leaky.summary["splits"]["train"]
    same = DriftRules(
        classes={"cat": 0.5, "dog": 0.5},
        pixels=(
            np.array(now["pixel_histogram"]) / sum(now["pixel_histogram"])
        ).tolist(),
        brightness=(np.array(now["brightness_histogram"]) / now["examples"]).tolist(),
    )

    def keys(drift):
        schema = SCHEMA.model_copy(
            update={"drift": drift, "max_near_leaked_share": 1.0}
        )
        found = find_anomalies(leaky.table, schema, 20, leaky.summary)
        return {a["key"] for a in found if a["key"].startswith("drift")}

    assert keys(same) == set()
    other = same.model_copy(update={"classes": {"cat": 0.9, "dog": 0.1}})
    assert keys(other) == {"drift.max_label_distance"}
    dark = [1.0, *[0.0] * 31]
    other = same.model_copy(update={"pixels": dark, "brightness": dark})
    assert keys(other) == {
        "drift.max_pixel_divergence", "drift.max_brightness_divergence",
    }  # fmt: skip


def test_near_leaks_are_told_by_name(leaky):
    found = find_anomalies(leaky.table, SCHEMA, 20, leaky.summary)
    near = [a for a in found if a["key"] == "max_near_leaked_share"]
    assert near and all(a["severity"] == "warn" and a["examples"] for a in near)


# The schema's file --------------------------------------------------------------------


def test_a_schema_is_toml_that_reads_back_the_same(tmp_path):
    labels = ("caf\u00e9", 'a "quoted" name', "back\\slash", "#1")
    schema = SCHEMA.model_copy(
        update={
            "labels": labels,
            "drift": DriftRules(classes=dict.fromkeys(labels, 0.25)),
        }
    )
    file = tmp_path / "schema.toml"
    file.write_text(to_toml(schema), encoding="utf-8")
    assert tomllib.loads(file.read_text(encoding="utf-8"))["labels"] == list(labels)
    assert load_schema(file) == schema
    other = tmp_path / "schema.json"
    other.write_text(schema.model_dump_json())
    assert load_schema(other) == schema


def test_the_schema_is_read_by_tensorflow_metadata(prepared):
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    text = (prepared["Schema"].path / "schema.pbtxt").read_text(encoding="utf-8")
    read = text_format.Parse(text, schema_pb2.Schema())
    features = {feature.name: feature for feature in read.feature}
    assert list(features["label"].string_domain.value) == list("0123456789")
    height = features["height"].int_domain
    assert (height.min, height.max) == (8, 8)  # the UCI digits are 8x8
    assert features["label"].drift_comparator.infinity_norm.threshold == 0.1
    assert text_format.MessageToString(read, as_utf8=True) == text


def test_an_unknown_rule_among_the_warnings_is_named(tmp_path):
    file = tmp_path / "schema.toml"
    text = to_toml(SCHEMA).replace('"max_class_imbalance", ', '"max_classes", ')
    file.write_text(text)
    with pytest.raises(InputError, match="names of rules; received max_classes"):
        load_schema(file)


def test_an_edited_schema_turns_a_stop_into_a_warning(
    tiny_config, prepared, tmp_path, capsys
):
    written = prepared["Schema"].path / "schema.toml"
    text = written.read_text(encoding="utf-8")
    text = text.replace("max_height = 8", "max_height = 7", 1)
    file = tmp_path / "schema.toml"
    file.write_text(text.replace("warnings = [", 'warnings = ["max_height", ', 1))
    schema_gen = SchemaGenConfig(path=file)
    config = tiny_config.model_copy(update={"schema_gen": schema_gen})
    with pytest.raises(InputError):  # min_height 8 is above max_height 7
        run(config, until="ExampleValidator")
    text = text.replace("min_height = 8", "min_height = 7")
    file.write_text(text.replace("warnings = [", 'warnings = ["max_height", ', 1))
    result = run(config, until="ExampleValidator")
    assert "warning: height: expected [7, 7], found [8, 8]" in capsys.readouterr().out
    assert result.artifacts["Anomalies"].properties["warnings"] == 1

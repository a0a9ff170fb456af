import json
from pathlib import Path

import pytest
from dayfly_cli.commands.demo import SAMPLES, Sample, read_samples
from dayfly_cli.errors import SetupError


def test_the_samples_cover_every_format_and_both_tasks() -> None:
    samples = read_samples(SAMPLES)
    ingested = {sample.file.suffix for sample in samples if sample.task_type == "ingest"}
    assert ingested == {".pdf", ".docx", ".pptx", ".xlsx", ".xls", ".html", ".md", ".txt", ".csv"}
    assert {sample.task_type for sample in samples} == {"ingest", "summarize"}


def test_the_manifest_names_file_task_and_document_set(tmp_path: Path) -> None:
    (tmp_path / "a.md").touch()
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": "a.md", "task_type": "ingest"}]))
    assert read_samples(tmp_path) == [Sample(tmp_path / "a.md", "ingest", "default")]


@pytest.mark.parametrize("manifest", ["{", "[{}]", None])
def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path, manifest: str | None) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(SetupError, match=r"cannot be read from .*manifest\.json"):
        read_samples(tmp_path)


def test_a_sample_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps([{"file": "gone.pdf", "task_type": "ingest"}]))
    with pytest.raises(SetupError, match=r"missing from .*: gone\.pdf"):
        read_samples(tmp_path)

"""The record of an artifact, `artifact.json`: where it comes from and what it holds."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from dlkeras.pipeline.store.sealed import seal, unseal

RECORD_FILE = "artifact.json"


class FileRecord(BaseModel):
    """What a file was when it was published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    size: int


class InputRecord(BaseModel):
    """Which artifact a component read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    key: str
    digest: str


class Record(BaseModel):
    """The content of `artifact.json`: where an artifact comes from and what it holds.

    `key` names the computation (component, configuration, inputs, versions); `digest`
    names the content, and is what the keys of later components are made of.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: str
    producer: str
    pipeline: str
    key: str
    digest: str
    config: dict[str, Any]
    inputs: dict[str, InputRecord]
    versions: dict[str, str]
    code: dict[str, str] = Field(default_factory=dict)
    properties: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, FileRecord]
    created: str
    seconds: float
    run_id: str

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read the file's content, and compare it with its own digest.

        Raises:
            ValueError: it was damaged, or is no record.
        """
        return cls.model_validate_json(unseal(data))

    def to_bytes(self) -> bytes:
        """The file's content, which ends with its own digest."""
        return seal(self.model_dump_json(indent=2))

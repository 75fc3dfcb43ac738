"""The form of requests and answers in JSON. The OpenAPI description is made from these classes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

TagMode = Literal["missing", "always", "never"]


class GivenMention(BaseModel):
    """A mention in a document's text."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="The mention's id, unique in its document.", examples=["T1"])
    type: str = Field(description="The mention's type, such as CHEMICAL, GENE or DISEASE.", examples=["CHEMICAL"])
    start: int = Field(ge=0, description="Offset of the first character, counted in Unicode code points.")
    end: int = Field(ge=0, description="Offset after the last character.")
    text: str | None = Field(default=None, description="The mention's characters; if given they are checked.")
    concept: str | None = Field(default=None, description="An id of some vocabulary, such as MESH:D001241.")


class GivenDocument(BaseModel):
    """A document to extract relations from; without mentions they are found by the tagger."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(default="text", description="The document's id.")
    text: str = Field(description="The whole text.", examples=["Aspirin inhibits COX-2 in human platelets."])
    entities: list[GivenMention] = Field(default_factory=list, description="The mentions that are known.")


class ExtractRequest(BaseModel):
    """Text or documents, and what is wanted of them; the options are those of ``cli extract``."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, description="One text; the short form of one document.")
    documents: list[GivenDocument] | None = Field(default=None, description="Documents, in place of text.")
    model: str | None = Field(default=None, description="The name of an installed model; the default is the first.")
    threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None,
        description="The least probability of a relation; by default it must be likelier than no relation.",
    )
    top: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="At most so many relations of each document."
    )
    max_distance: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="At most so many tokens between the two mentions of a pair."
    )
    explain: bool = Field(default=False, description="Whether relations carry the attention on each token.")
    tag: TagMode = Field(
        default="missing", description="Which documents the tagger reads: those without mentions, all, none."
    )


class BadItem(BaseModel):
    """A document that could not be read or processed, or something in it that was left out."""

    id: str
    where: str = Field(description="The file and line, where there is one.")
    why: str


class ReadDocuments(BaseModel):
    """The documents of a file."""

    documents: list[GivenDocument]
    bad: list[BadItem] = Field(description="Documents that could not be read.")
    problems: list[BadItem] = Field(description="What was left out of the documents that were read.")


class LabelInfo(BaseModel):
    """A label of a model."""

    name: str
    meaning: str = Field(description="What the label means, in words.")
    positive: bool = Field(description="Whether it says that there is a relation.")


class ModelInfo(BaseModel):
    """An installed model."""

    name: str
    fingerprint: str
    pairs: list[tuple[str, str]] = Field(description="The pairs of types that the model relates.")
    labels: list[LabelInfo]
    features: list[str] = Field(description="The encoders that the model reads.")
    tags: bool = Field(description="Whether mentions are found in plain text.")


class Models(BaseModel):
    """The installed models, the default one first, and the formats that answers can be downloaded in."""

    models: list[ModelInfo]
    formats: list[str]


class Refusal(BaseModel):
    """Why a request was refused: what was given, what is allowed, what to do."""

    error: str

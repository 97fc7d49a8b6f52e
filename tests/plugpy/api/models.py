"""The same models by msgspec and by pydantic."""

from typing import Annotated, Any

import msgspec
import pydantic


class StructAuthor(msgspec.Struct):
    name: str


class StructNewBook(msgspec.Struct):
    """What is sent for a new book."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=20, description="On its cover")]
    pages: Annotated[int, msgspec.Meta(ge=1)] = 1
    author: StructAuthor | None = None
    tags: list[str] = []


class StructBook(StructNewBook, kw_only=True):
    id: int


class StructPrivateBook(StructBook, kw_only=True):
    price_paid: int


class StructFilter(msgspec.Struct):
    q: str
    page: Annotated[int, msgspec.Meta(ge=1)] = 1
    tag: list[str] = []


class ModelAuthor(pydantic.BaseModel):
    name: str


class ModelNewBook(pydantic.BaseModel):
    """What is sent for a new book."""

    title: str = pydantic.Field(min_length=1, max_length=20, description="On its cover")
    pages: int = pydantic.Field(default=1, ge=1)
    author: ModelAuthor | None = None
    tags: list[str] = []


class ModelBook(ModelNewBook):
    id: int


class ModelPrivateBook(ModelBook):
    price_paid: int


class ModelFilter(pydantic.BaseModel):
    q: str
    page: int = pydantic.Field(default=1, ge=1)
    tag: list[str] = []


class Library:
    """Models by their role, of one library."""

    def __init__(self, **models: Any) -> None:
        self.__dict__.update(models)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


MSGSPEC = Library(
    new=StructNewBook,
    book=StructBook,
    private=StructPrivateBook,
    filter=StructFilter,
    at_least_one=Annotated[int, msgspec.Meta(ge=1)],
)
PYDANTIC = Library(
    new=ModelNewBook,
    book=ModelBook,
    private=ModelPrivateBook,
    filter=ModelFilter,
    at_least_one=Annotated[int, pydantic.Field(ge=1)],
)

"""Values of Telegram's, read tolerantly: people, and parts of a text."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)
from pydantic_core.core_schema import ValidationInfo

Id = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
"""What SQLite's 64 bits hold."""


class Tolerant(BaseModel):
    """A value of Telegram's whose fields have their defaults where they cannot be read."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, value: Any, read: Callable[[Any], Any], info: ValidationInfo) -> Any:
        try:
            return read(value)
        except ValidationError:
            return cls.model_fields[info.field_name or ""].default


def at_path(default: Any, *path: str) -> Any:
    """A field that stands at the path."""
    return Field(default=default, validation_alias=AliasPath(*path))


class User(Tolerant):
    id: Id = 0
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Entity(Tolerant):
    """A marked part of a text, in UTF-16 units; `user` is whom a text mention names."""

    type: str = ""
    offset: int = Field(default=0, ge=0)
    length: int = Field(default=0, ge=0)
    user: User = User()

    @property
    def part(self) -> slice:
        """Where it is in the text as UTF-16, of which a unit is two bytes."""
        return slice(2 * self.offset, 2 * (self.offset + self.length))


def _objects(values: Any) -> Any:
    return [each for each in values if isinstance(each, dict)] if type(values) is list else values


Entities = Annotated[list[Entity], BeforeValidator(_objects)]
"""Those that can be read."""

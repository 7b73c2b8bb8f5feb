"""The base of every parameter class: strict, frozen, no unknown keys."""

from pydantic import BaseModel, ConfigDict


class Params(BaseModel):
    """A validated block of params.yaml.

    An integer is accepted where a float is asked for; nothing else is converted.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

"""What all records share."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """An immutable fact. An unknown field is an error, not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

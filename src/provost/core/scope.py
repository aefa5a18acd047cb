from pydantic import BaseModel, ConfigDict, Field


class Scope(BaseModel):
    """Where something is done: on assets, and in nodes with all below them. Times in seconds.

    The node "/" is all assets there are.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    assets: tuple[str, ...] = Field((), max_length=100_000)
    nodes: tuple[str, ...] = Field((), max_length=100_000)
    concurrency: int = Field(50, strict=True, ge=1, le=1000)
    connect_timeout: float = Field(20.0, gt=0, le=86_400)
    command_timeout: float = Field(60.0, gt=0, le=86_400)

"""What Pydantic AI does otherwise."""

NOTE = (
    "A tool's exception ends the run unless the tool raises ModelRetry, which tells the model: "
    "https://ai.pydantic.dev/tools-advanced/#tool-retries."
)

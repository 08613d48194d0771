"""What Pydantic AI does otherwise."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "Pydantic AI raises an exception of its own, whichever client was refused: "
    "https://ai.pydantic.dev/api/exceptions/#pydantic_ai.exceptions.ModelHTTPError."
)
EXPECTED = Expected(agents=("assistant",), raises="ModelHTTPError", failed_calls=1, run_status=("error",))

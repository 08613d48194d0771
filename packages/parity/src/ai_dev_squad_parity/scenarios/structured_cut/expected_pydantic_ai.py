"""What Pydantic AI does otherwise."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "Pydantic AI reads the text itself, not by OpenAI's client: the call is an answer like any other, and the run ends with an exception "
    "of its own: https://ai.pydantic.dev/api/exceptions/#pydantic_ai.exceptions.UnexpectedModelBehavior."
)
EXPECTED = Expected(raises="UnexpectedModelBehavior", agents=("clerk",), run_status=("error",))

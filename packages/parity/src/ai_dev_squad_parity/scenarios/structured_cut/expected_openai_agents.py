"""What differs on the OpenAI Agents SDK."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "The SDK takes the answer as a text and validates it itself: the call went well, and the run ends with its exception "
    "(https://openai.github.io/openai-agents-python/ref/exceptions/)."
)
EXPECTED = Expected(raises="ModelBehaviorError", agents=("clerk",), run_status=("error",))

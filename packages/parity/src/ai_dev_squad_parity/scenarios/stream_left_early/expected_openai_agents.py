"""What differs on the OpenAI Agents SDK."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "A streamed run goes on in the background when its events are read no more; cancel() is how it is left, and ends all of "
    "the run: https://openai.github.io/openai-agents-python/streaming/."
)
EXPECTED = Expected(answer="Fig fact number 0", cancelled_calls=1, estimated=True, run_status=("closed_early",))

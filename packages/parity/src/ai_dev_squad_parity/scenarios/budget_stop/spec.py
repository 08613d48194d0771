"""A budget stops a run before money is spent."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look words up before you answer."
REQUEST = "What is a fig?"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a sweet fruit"


SCENARIO = Scenario(
    name="budget_stop",
    title="Budget stop",
    purpose="The second model call would break the budget of the run: it is not made, and the program learns why.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(call("look_up", word="fig"), usage=tokens(1000, 500)),
            )
        ]
    ),
    budget_usd=0.00046,
    expected=Expected(
        agents=("clerk",),
        tools=(("look_up", {"word": "fig"}),),
        raises="BudgetExceeded",
        refused_calls=1,
        run_status=("error",),
    ),
)

"""Three experts at the same time, and one who sums up."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

EXPERTS = ("botanist", "cook", "historian")
REQUEST = "What should one know about figs?"


def system(name: str) -> str:
    """The prompt of an agent."""
    return f"You are the {name}. Answer in one sentence."


SCENARIO = Scenario(
    name="parallel_fan_out",
    title="Parallel fan-out",
    purpose="Three agents work at the same time on the same question, a fourth sums up. Each call belongs to its own agent, in one trace.",
    script=lambda: Script(
        [
            *(
                role(
                    name,
                    system_contains(f"you are the {name}"),
                    reply(f"The {name} likes figs.", usage=tokens(100 + n, 10 + n), together=3),
                )
                for n, name in enumerate(EXPERTS)
            ),
            role(
                "editor", system_contains("you are the editor"), reply("All of them like figs.", usage=tokens(180, 9))
            ),
        ]
    ),
    expected=Expected(answer="All of them", agents=(*EXPERTS, "editor"), parallel=3),
)

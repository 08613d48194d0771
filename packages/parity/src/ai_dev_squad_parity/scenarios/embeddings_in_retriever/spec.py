"""A retriever that asks an embedding model."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, endpoint_is, reply, role, system_contains, tokens

SYSTEM = "You are the librarian. Answer from what was found."
REQUEST = "What is a fig?"
DOCUMENTS = ("A fig is a sweet fruit.", "A date grows on a palm.")
EMBEDDING_MODEL = "text-embedding-3-small"

SCENARIO = Scenario(
    name="embeddings_in_retriever",
    title="Embeddings in a retriever",
    purpose="Documents and question are embedded before the model is asked. Embeddings are billed, and no framework's callback "
    "tells of them.",
    script=lambda: Script(
        [
            reply(when=endpoint_is("embeddings"), usage=tokens(823)),
            reply(when=endpoint_is("embeddings"), usage=tokens(7)),
            role(
                "librarian",
                system_contains("you are the librarian"),
                reply("A fig is a sweet fruit.", usage=tokens(90, 9)),
            ),
        ]
    ),
    expected=Expected(answer="sweet fruit", agents=("librarian",)),
    notes={
        "crewai": "Embeddings are asked for by OpenAI's own client, as in a tool of the program's; CrewAI's own are part of the row memory.",
        "autogen": "AutoGen has vector memories for stores that must be installed; this one is written as its documentation says.",
    },
)

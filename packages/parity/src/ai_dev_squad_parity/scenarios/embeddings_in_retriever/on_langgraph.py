"""A graph that retrieves, then answers."""

from typing import Any

from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from langgraph.graph import END, START, StateGraph
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM
from typing_extensions import TypedDict


class State(TypedDict):
    found: str
    answer: str


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    embeddings = OpenAIEmbeddings(model=EMBEDDING_MODEL, base_url=base_url, check_embedding_ctx_length=False)

    def retrieve(state: State) -> Any:
        retriever = InMemoryVectorStore.from_texts(DOCUMENTS, embeddings).as_retriever(search_kwargs={"k": 1})
        return {"found": retriever.invoke(REQUEST)[0].page_content}

    def librarian(state: State) -> Any:
        return {"answer": llm.invoke([("system", SYSTEM), ("user", f"{REQUEST}\n{state['found']}")]).content}

    graph = StateGraph(State)
    graph.add_sequence([("retrieve", retrieve), ("librarian", librarian)])
    graph.add_edge(START, "retrieve")
    graph.add_edge("librarian", END)
    return graph.compile()


def run(graph: Any) -> str:
    return graph.invoke({"found": ""})["answer"]

"""What Pydantic AI does otherwise."""

NOTE = (
    "Pydantic AI asks LiteLLM's server, by a provider of its own, and not the library: "
    "https://ai.pydantic.dev/models/openai/#litellm."
)

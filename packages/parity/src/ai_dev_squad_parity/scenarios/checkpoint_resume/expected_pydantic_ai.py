"""What Pydantic AI does otherwise."""

NOTE = (
    "A graph of Pydantic AI keeps no checkpoints since 2.0; durable execution is by Temporal, DBOS, Prefect or Restate, services that "
    "must run beside (https://ai.pydantic.dev/durable_execution/overview/). The program keeps the graph's state in a file."
)

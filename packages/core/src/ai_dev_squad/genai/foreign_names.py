"""What other instrumentations' attributes mean: tables, and nothing else.

Names are those that these releases write: OpenInference (semantic conventions 0.1.42), OpenLLMetry 0.62, Langfuse 3 to 5, Logfire 5
and Pydantic AI, Vercel's AI SDK 5 and 6, AutoGen 0.7, CrewAI 1.15, LiteLLM 1.80 to 1.110, LangSmith 0.15, Semantic Kernel 1.37, Google's ADK 1,
Strands 1, LiveKit Agents 1, AgentOps 0.4, and the older names of the conventions themselves.
"""

from __future__ import annotations

from ai_dev_squad import attributes as keys

__all__ = ["CONTENT", "COST", "KINDS", "LISTS", "NAMES", "OPERATIONS", "SPAN_NAMES"]

COST = "gen_ai.usage.cost.amount"
"""The cost that a sender states, in USD unless ``gen_ai.usage.cost.currency`` says otherwise."""

_CALLED_ALIKE_BY_WEAVE = (
    *(keys.PROVIDER_NAME, keys.REQUEST_MODEL, keys.RESPONSE_MODEL, keys.RESPONSE_ID, keys.CONVERSATION_ID),
    *(keys.USAGE_INPUT_TOKENS, keys.USAGE_OUTPUT_TOKENS, keys.USAGE_CACHE_READ_INPUT_TOKENS),
    *(keys.GEN_AI_AGENT_NAME, keys.TOOL_NAME, keys.TOOL_CALL_ID, keys.TOOL_CALL_ARGUMENTS, keys.TOOL_CALL_RESULT),
    *(keys.INPUT_MESSAGES, keys.OUTPUT_MESSAGES),
)

NAMES = {
    # The conventions' own older names, and close variants of the present ones.
    "gen_ai.system": keys.PROVIDER_NAME,
    "gen_ai.usage.prompt_tokens": keys.USAGE_INPUT_TOKENS,
    "gen_ai.usage.completion_tokens": keys.USAGE_OUTPUT_TOKENS,
    "gen_ai.usage.cache_creation.input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_creation_input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_write_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.cache_read_input_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.cache_read_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.details.cache_read_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.details.cache_write_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.details.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    # LiveKit's, Strands', and Semantic Kernel's variants.
    "gen_ai.usage.input_cached_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.input_audio_tokens": keys.USAGE_AUDIO_INPUT_TOKENS,
    "gen_ai.usage.output_audio_tokens": keys.USAGE_AUDIO_OUTPUT_TOKENS,
    "gen_ai.usage.cache_write_input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    # Google's ADK before 2.3, Sentry's conventions, Mastra's, Tracy's and ax's variants, and OpenAI's own names.
    "gen_ai.usage.experimental.cached_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.experimental.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.input_tokens.cached": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.input_tokens.cache_write": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "gen_ai.usage.output_tokens.reasoning": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.cached_input_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.cached_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.thoughts_token_count": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.thoughts_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "gen_ai.usage.prompt_tokens_details.cached_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.usage.input_tokens_details.cached_tokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "gen_ai.response.prompt_tokens": keys.USAGE_INPUT_TOKENS,
    "gen_ai.response.completion_tokens": keys.USAGE_OUTPUT_TOKENS,
    "gen_ai.prompt": keys.INPUT_MESSAGES,
    "gen_ai.completion": keys.OUTPUT_MESSAGES,
    "gen_ai.input_messages": keys.INPUT_MESSAGES,
    "gen_ai.output_messages": keys.OUTPUT_MESSAGES,
    "gen_ai.server.time_to_first_token": keys.RESPONSE_TIME_TO_FIRST_CHUNK,
    # Costs that come with a span.
    "gen_ai.usage.cost": COST,
    "gen_ai.usage.total_cost": COST,
    "gen_ai.cost.total_cost": COST,
    "llm.cost.total": COST,
    "operation.cost": COST,
    # OpenInference.
    "llm.provider": keys.PROVIDER_NAME,
    "llm.system": keys.PROVIDER_NAME,
    "llm.request.model_name": keys.REQUEST_MODEL,
    "llm.response.model_name": keys.RESPONSE_MODEL,
    "llm.model_name": keys.REQUEST_MODEL,
    "embedding.model_name": keys.REQUEST_MODEL,
    "llm.token_count.prompt": keys.USAGE_INPUT_TOKENS,
    "llm.token_count.completion": keys.USAGE_OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "llm.token_count.prompt_details.cache_input": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "llm.token_count.prompt_details.cache_write": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "llm.token_count.prompt_details.audio": keys.USAGE_AUDIO_INPUT_TOKENS,
    "llm.token_count.completion_details.audio": keys.USAGE_AUDIO_OUTPUT_TOKENS,
    "llm.token_count.completion_details.reasoning": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "tool.name": keys.TOOL_NAME,
    "tool.description": keys.TOOL_DESCRIPTION,
    "tool.id": keys.TOOL_CALL_ID,
    "tool.agent_role": keys.GEN_AI_AGENT_NAME,
    "agent.name": keys.GEN_AI_AGENT_NAME,
    "session.id": keys.CONVERSATION_ID,
    # Whom it was done for, in the general conventions (the first as OpenInference and Langfuse write it too).
    "user.id": keys.USER_ID,
    "enduser.id": keys.USER_ID,
    "langfuse.user.id": keys.USER_ID,
    "traceloop.association.properties.user_id": keys.USER_ID,
    "ai.telemetry.metadata.userId": keys.USER_ID,
    "ai.telemetry.metadata.user_id": keys.USER_ID,
    # OpenLLMetry.
    "traceloop.association.properties.session_id": keys.CONVERSATION_ID,
    "traceloop.association.properties.thread_id": keys.CONVERSATION_ID,
    "traceloop.workflow.name": keys.WORKFLOW_NAME,
    "crewai.crew.name": keys.WORKFLOW_NAME,
    "crewai.task.agent": keys.GEN_AI_AGENT_NAME,
    # CrewAI's own tracer.
    "crewai.agent.role": keys.GEN_AI_AGENT_NAME,
    "crewai.task.name": keys.TASK_NAME,
    "crewai.task.description": keys.TASK_NAME,
    # Langfuse.
    "langfuse.session.id": keys.CONVERSATION_ID,
    "langfuse.observation.model.name": keys.REQUEST_MODEL,
    "langfuse.observation.completion_start_time": "langfuse.completion_start_time",
    "langfuse.observation.input": keys.INPUT_MESSAGES,
    "langfuse.observation.output": keys.OUTPUT_MESSAGES,
    # Vercel's AI SDK.
    "ai.model.id": keys.REQUEST_MODEL,
    "ai.model.provider": keys.PROVIDER_NAME,
    "ai.response.model": keys.RESPONSE_MODEL,
    "ai.response.id": keys.RESPONSE_ID,
    "ai.usage.inputTokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.promptTokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.tokens": keys.USAGE_INPUT_TOKENS,
    "ai.usage.outputTokens": keys.USAGE_OUTPUT_TOKENS,
    "ai.usage.completionTokens": keys.USAGE_OUTPUT_TOKENS,
    "ai.usage.cachedInputTokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "ai.usage.inputTokenDetails.cacheReadTokens": keys.USAGE_CACHE_READ_INPUT_TOKENS,
    "ai.usage.inputTokenDetails.cacheWriteTokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
    "ai.usage.reasoningTokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "ai.usage.outputTokenDetails.reasoningTokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "ai.toolCall.name": keys.TOOL_NAME,
    "ai.toolCall.id": keys.TOOL_CALL_ID,
    "ai.telemetry.functionId": keys.GEN_AI_AGENT_NAME,
    # LangSmith.
    "langsmith.metadata.thread_id": keys.CONVERSATION_ID,
    "langsmith.metadata.session_id": keys.CONVERSATION_ID,
    "langsmith.metadata.conversation_id": keys.CONVERSATION_ID,
    "langsmith.metadata.user_id": keys.USER_ID,
    # Google's ADK.
    "gcp.vertex.agent.session_id": keys.CONVERSATION_ID,
    "gcp.vertex.agent.tool_call_args": keys.TOOL_CALL_ARGUMENTS,
    "gcp.vertex.agent.tool_response": keys.TOOL_CALL_RESULT,
    # Pydantic AI.
    "pydantic_ai.all_messages": keys.INPUT_MESSAGES,
    "final_result": keys.OUTPUT_MESSAGES,
    "tool_arguments": keys.TOOL_CALL_ARGUMENTS,
    "tool_response": keys.TOOL_CALL_RESULT,
    # AgentOps.
    "agentops.entity.input": keys.INPUT_MESSAGES,
    "agentops.entity.output": keys.OUTPUT_MESSAGES,
    # MLflow, whose values are JSON; see ``mlflow_content``.
    "mlflow.spanInputs": keys.INPUT_MESSAGES,
    "mlflow.spanOutputs": keys.OUTPUT_MESSAGES,
    "ai.telemetry.metadata.sessionId": keys.CONVERSATION_ID,
    "ai.telemetry.metadata.session_id": keys.CONVERSATION_ID,
    # Weave, whose names are the conventions' with a word of its own before them, but for two.
    **{key.replace("gen_ai.", "weave.", 1): key for key in _CALLED_ALIKE_BY_WEAVE},
    "weave.usage.reasoning_tokens": keys.USAGE_REASONING_OUTPUT_TOKENS,
    "weave.usage.cache_creation.input_tokens": keys.USAGE_CACHE_WRITE_INPUT_TOKENS,
}
"""Foreign attribute → canonical one. Where several mean the same the first wins, and a canonical one beats them all."""

_LITELLM = {
    "responses": "chat",
    "anthropic_messages": "chat",
    "generate_content": "generate_content",
    "generate_content_stream": "generate_content",
    "embedding": "embeddings",
    "text_completion": "text_completion",
    "image_generation": "generate_content",
    "image_edit": "generate_content",
    "transcription": "generate_content",
    "speech": "generate_content",
    "rerank": "retrieval",
}
"""How LiteLLM calls its functions, and what they do."""
_CALLED_BY_LITELLM = {
    "acompletion": "chat",
    **_LITELLM,
    **{f"a{name}": operation for name, operation in _LITELLM.items()},
}
"""With the asynchronous ones, which have an `a` before the name."""

OPERATIONS = {
    "invoke_workflow": "invoke_workflow",
    "invoke_agent": "invoke_agent",
    "task": "task",
    "execute_task": "task",
    "execute_method": "task",
    "execute_tool": "execute_tool",
    "chat": "chat",
    "text_completion": "text_completion",
    "completion": "text_completion",
    "generate_content": "generate_content",
    "embeddings": "embeddings",
    "embedding": "embeddings",
    "retrieval": "retrieval",
    "rerank": "retrieval",
    "plan": "plan",
    "guardrail": "guardrail",
    # Amazon's agents and Google's ADK.
    "handle_conversation_turn": "invoke_workflow",
    "invocation": "invoke_workflow",
    # Semantic Kernel.
    "chat.completions": "chat",
    "chat.streaming_completions": "chat",
    "text.completions": "text_completion",
    "text.streaming_completions": "text_completion",
    **_CALLED_BY_LITELLM,
}
"""``gen_ai.operation.name`` → ours. All others, such as ``create_agent``, are ``other``."""

KINDS = {
    "traceloop.span.kind": {
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "task": "task",
        "tool": "execute_tool",
    },
    # LangSmith calls a retriever embeddings and a prompt chat, by the conventions' name.
    "langsmith.span.kind": {
        "llm": "chat",
        "chain": "task",
        "tool": "execute_tool",
        "retriever": "retrieval",
        "embedding": "embeddings",
    },
    "gen_ai.operation.name": OPERATIONS,
    "weave.operation.name": OPERATIONS,
    "openinference.span.kind": {
        "LLM": "chat",
        "AGENT": "invoke_agent",
        "CHAIN": "task",
        "TOOL": "execute_tool",
        "RETRIEVER": "retrieval",
        "RERANKER": "retrieval",
        "EMBEDDING": "embeddings",
        "GUARDRAIL": "guardrail",
    },
    "llm.request.type": {
        "chat": "chat",
        "completion": "text_completion",
        "embedding": "embeddings",
        "rerank": "retrieval",
        **_CALLED_BY_LITELLM,
    },
    "agentops.span.kind": {
        "session": "invoke_workflow",
        "workflow": "invoke_workflow",
        "agent": "invoke_agent",
        "task": "task",
        "operation": "task",
        "chain": "task",
        "tool": "execute_tool",
        "llm": "chat",
        "guardrail": "guardrail",
    },
    "langfuse.observation.type": {
        "generation": "chat",
        "agent": "invoke_agent",
        "chain": "task",
        "tool": "execute_tool",
        "retriever": "retrieval",
        "embedding": "embeddings",
        "guardrail": "guardrail",
    },
    "mlflow.spanType": {
        f"{quote}{kind}{quote}": operation
        for quote in ("", '"')
        for kind, operation in (
            ("LLM", "chat"),
            ("CHAT_MODEL", "chat"),
            ("AGENT", "invoke_agent"),
            ("CHAIN", "task"),
            ("TOOL", "execute_tool"),
            ("RETRIEVER", "retrieval"),
            ("RERANKER", "retrieval"),
            ("EMBEDDING", "embeddings"),
            ("GUARDRAIL", "guardrail"),
        )
    },
    "ai.operationId": {
        "ai.generateText": "invoke_agent",
        "ai.streamText": "invoke_agent",
        "ai.generateObject": "invoke_agent",
        "ai.streamObject": "invoke_agent",
        "ai.generateText.doGenerate": "chat",
        "ai.streamText.doStream": "chat",
        "ai.generateObject.doGenerate": "chat",
        "ai.streamObject.doStream": "chat",
        "ai.embed.doEmbed": "embeddings",
        "ai.embedMany.doEmbed": "embeddings",
        "ai.toolCall": "execute_tool",
    },
}
"""Which attribute says what kind of span it is, and what its values mean. The first that is there decides."""

LISTS = (
    "llm.input_messages.",
    "llm.output_messages.",
    "llm.tools.",
    "retrieval.documents.",
    "gen_ai.prompt.",
    "gen_ai.completion.",
)
"""How the names of attributes begin over which a list is spread."""

CONTENT = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.input_messages",
        "gen_ai.output_messages",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "input.value",
        "output.value",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "ai.prompt",
        "ai.prompt.messages",
        "ai.response.text",
        "ai.response.toolCalls",
        "ai.response.object",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "agentops.entity.input",
        "agentops.entity.output",
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "pydantic_ai.all_messages",
        "weave.input.messages",
        "weave.output.messages",
        "weave.tool.call.arguments",
        "weave.tool.call.result",
    }
)
"""Attributes that are shown as content, beside those of ``LISTS``."""

SPAN_NAMES = {
    "crewai": {
        "evaluate guardrail": "guardrail",
        "agent reasoning": "plan",
        "query memory": "retrieval",
        "retrieve memory": "retrieval",
        "query knowledge": "retrieval",
        "search knowledge": "retrieval",
    }
}
"""Instrumentation → spans that are told by nothing but their name → operation."""

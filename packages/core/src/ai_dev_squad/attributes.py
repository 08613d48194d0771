"""Every attribute key that this product writes, once.

The ``gen_ai.*`` names are those of OpenTelemetry's GenAI semantic conventions (repository
``open-telemetry/semantic-conventions-genai``). They are spelled out here because the constants that OpenTelemetry
ships for Python are deprecated or missing.
"""

from __future__ import annotations

from typing import Final

# GenAI conventions: what was done
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
GEN_AI_AGENT_NAME: Final = "gen_ai.agent.name"
GEN_AI_AGENT_DESCRIPTION: Final = "gen_ai.agent.description"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"

# GenAI conventions: the request
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_STREAM: Final = "gen_ai.request.stream"

# GenAI conventions: the answer
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ_INPUT_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE_INPUT_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_REASONING_OUTPUT_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_AUDIO_INPUT_TOKENS: Final = "gen_ai.usage.audio.input_tokens"
USAGE_AUDIO_OUTPUT_TOKENS: Final = "gen_ai.usage.audio.output_tokens"
USAGE_IMAGE_INPUT_TOKENS: Final = "gen_ai.usage.image.input_tokens"
USAGE_IMAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.image.output_tokens"

# GenAI conventions: tools and retrieval
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"

# GenAI conventions: content, captured only when asked for
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY_TEXT: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"

# GenAI conventions: what somebody thinks of it
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE_VALUE: Final = "gen_ai.evaluation.score.value"
EVALUATION_SCORE_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

# OpenTelemetry, general
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
SERVICE_NAME: Final = "service.name"
SERVICE_VERSION: Final = "service.version"
DEPLOYMENT_ENVIRONMENT: Final = "deployment.environment.name"

# The developer guide's own names, written beside the conventions
AGENT_ID: Final = "agent.id"
AGENT_FRAMEWORK: Final = "agent.framework"
AGENT_OPERATION: Final = "agent.operation"
LLM_MODEL: Final = "llm.model"
LLM_PROVIDER: Final = "llm.provider"
FUNCTION_NAME: Final = "function.name"
FUNCTION_MODULE: Final = "function.module"
FUNCTION_RESULT_TYPE: Final = "function.result_type"

# Ours
FRAMEWORK: Final = "ai_dev_squad.framework"
SESSION_ID: Final = "ai_dev_squad.session.id"
CORRELATION_ID: Final = "ai_dev_squad.correlation.id"
USER_ID: Final = "ai_dev_squad.user.id"
EVALUATION_OF: Final = "ai_dev_squad.evaluation.of"
OPERATION_STATUS: Final = "ai_dev_squad.status"
USAGE_SOURCE: Final = "ai_dev_squad.usage.source"
USAGE_CACHE_READ_AUDIO_INPUT_TOKENS: Final = "ai_dev_squad.usage.cache_read_audio.input_tokens"
USAGE_CACHE_WRITE_1H_INPUT_TOKENS: Final = "ai_dev_squad.usage.cache_write_1h.input_tokens"
USAGE_WEB_SEARCHES: Final = "ai_dev_squad.usage.web_searches"
USAGE_FILE_SEARCHES: Final = "ai_dev_squad.usage.file_searches"
USAGE_AUDIO_INPUT_SECONDS: Final = "ai_dev_squad.usage.audio.input_seconds"
COST_USD: Final = "ai_dev_squad.cost.usd"
COST_PRICE: Final = "ai_dev_squad.cost.price"
COST_PRICE_DATE: Final = "ai_dev_squad.cost.price_date"
COST_PRICE_SOURCE: Final = "ai_dev_squad.cost.price_source"
CACHE_HIT: Final = "ai_dev_squad.cache_hit"
ATTEMPT: Final = "ai_dev_squad.attempt"
LOCAL_ROOT: Final = "ai_dev_squad.local_root"
REMOTE: Final = "ai_dev_squad.remote"
ORIGIN: Final = "ai_dev_squad.origin"
REQUESTS: Final = "ai_dev_squad.requests"
LATE: Final = "ai_dev_squad.late"
INSTRUMENTATION: Final = "ai_dev_squad.instrumentation"
TASK_NAME: Final = "ai_dev_squad.task.name"
TASK_LABEL: Final = "ai_dev_squad.task.label"
LINK_TYPE: Final = "ai_dev_squad.link.type"

__all__ = [name for name in globals() if name.isupper()]

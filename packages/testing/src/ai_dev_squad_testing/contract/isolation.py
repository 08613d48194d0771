"""How an adapter behaves: switched on and off, observed twice, content and secrets."""

from __future__ import annotations

import msgspec
import pytest

from ai_dev_squad_testing.captured import Captured, capture
from ai_dev_squad_testing.contract.harness import MODES, STREAMS, Harness
from ai_dev_squad_testing.contract.tree import ends_once, roots
from ai_dev_squad_testing.fixtures import Serve
from ai_dev_squad_testing.model_server import call, fail, reply, tool_calls

__all__ = ["Isolation"]

SECRET = "sk-proj-Zq7Rw2Xk9Lm4Nv8Tb3Yc6Hd1Jf5Gs0Pa"  # noqa: S105 - nobody's key


def everything_said(captured: Captured) -> str:
    """All lines, spans, span events and statuses as one text."""
    spans = [
        (span.name, dict(span.attributes or {}), [(event.name, dict(event.attributes or {})) for event in span.events])
        for span in captured.spans
    ]
    statuses = [span.status.description for span in captured.spans]
    return "\n".join([*(msgspec.json.encode(line).decode() for line in captured.lines), repr(spans), repr(statuses)])


class Isolation(Harness):
    """Tests of switching on and off, and of what is said and what is kept quiet."""

    @pytest.mark.parametrize("mode", MODES)
    def test_nothing_is_emitted_after_unobserve(self, captured: Captured, serve: Serve, mode: str) -> None:
        """What is not observed any longer is as quiet as what never was."""
        server = serve(reply("one two three", times=None))
        program = self.observe(self.asking_in(mode, server.base_url))

        self.play(mode, program)
        said = len(captured.lines), len(captured.spans)
        self.play(mode, self.unobserve(program))

        assert said[0] > 0
        assert (len(captured.lines), len(captured.spans)) == said
        assert len(server.truth.calls) == 2

    def test_what_was_never_observed_stays_quiet(self, captured: Captured, serve: Serve) -> None:
        """Observing one program says nothing of another."""
        server = serve(reply("one two three", times=None))
        self.observe(self.asking(server.base_url))

        self.finish(self.asking(server.base_url))

        assert (captured.lines, captured.spans) == ([], [])

    def test_observing_twice_is_observing_once(self, captured: Captured, serve: Serve) -> None:
        """The second time adds nothing, and once ``unobserve`` is called it is over."""
        server = serve(reply("one two three", times=None))
        program = self.observe(self.observe(self.asking(server.base_url)))

        self.finish(program)

        ends_once(captured)
        assert len(roots(captured)) == 1
        assert len(captured.closing("chat")) == 1
        captured.lines.clear()
        self.finish(self.unobserve(program))
        assert captured.lines == []

    def test_an_observed_program_is_of_the_type_it_was(self, captured: Captured, serve: Serve) -> None:
        """Code that looks at types does not notice."""
        server = serve()
        program = self.asking(server.base_url)
        cls = type(program)

        assert isinstance(self.observe(program), cls)

    def test_one_setting_switches_everything_off(self, serve: Serve) -> None:
        """With ``enabled=False`` nothing is observed, and the program works."""
        server = serve(reply("one two three"))
        with capture(spans=True, enabled=False) as captured:
            text = self.finish(self.observe(self.asking(server.base_url)))

        assert "one two three" in text
        assert (captured.lines, captured.spans) == ([], [])

    def test_content_is_left_out_by_default(self, captured: Captured, serve: Serve) -> None:
        """Neither questions nor answers, neither arguments nor results of tools are in any line or span."""
        self._say_in_confidence(serve, "confidential")

        assert len(captured.lines) > 0
        assert "confidential" not in everything_said(captured)

    def test_content_is_kept_when_asked_for(self, serve: Serve) -> None:
        """``capture_content=True`` keeps what the model is asked and says, and what tools get and give."""
        with capture(spans=True, capture_content=True) as captured:
            self._say_in_confidence(serve, "confidential")

        said = everything_said(captured)
        for part in self._parts():
            assert f"confidential {part}" in said, part

    def test_secrets_are_redacted_everywhere(self, serve: Serve) -> None:
        """With content kept, a key in a question, an answer, an argument, a result or an error is in no line or span."""
        with capture(spans=True, capture_content=True) as captured:
            self._say_in_confidence(serve, SECRET)
            if "working" not in self.lacks:
                self.attempt(self.main_mode, self.observe(self.working(_raise_a_secret)))

        said = everything_said(captured)
        assert len(captured.closing()) > 0
        assert SECRET not in said
        assert SECRET[8:] not in said
        if "working" not in self.lacks:
            assert "the key" in said

    @pytest.mark.parametrize("mode", STREAMS)
    def test_a_secret_in_pieces_is_redacted(self, serve: Serve, mode: str) -> None:
        """With content kept, no piece of a key that a stream brings in pieces is in a line or span, as answer or as thought."""
        server = serve(reply(f"it is {SECRET} indeed", reasoning=f"the key is {SECRET} then", chunk_size=6))

        with capture(spans=True, capture_content=True) as captured:
            streamed = self.play(mode, self.observe(self.asking_in(mode, server.base_url)))

        said = everything_said(captured)
        assert SECRET in "".join(streamed)
        assert "indeed" in said
        assert [SECRET[at : at + 6] for at in range(8, len(SECRET) - 5) if SECRET[at : at + 6] in said] == []

    def test_lines_are_valid(self, captured: Captured, serve: Serve) -> None:
        """Every line, of runs that end well and of runs that fail, follows the published JSON Schema."""
        import jsonschema

        from ai_dev_squad.schema import json_schema

        self._say_in_confidence(serve, "anything")
        server = serve(fail(400, times=None))
        self.attempt(self.main_mode, self.observe(self.asking(server.base_url)))

        validator = jsonschema.Draft202012Validator(json_schema())
        lines = [msgspec.json.decode(msgspec.json.encode(line)) for line in captured.lines]
        assert lines
        assert [problem.message for line in lines for problem in validator.iter_errors(line)] == []

    def _parts(self) -> list[str]:
        return ["question", "answer"] if "with_tool" in self.lacks else ["question", "answer", "argument", "result"]

    def _say_in_confidence(self, serve: Serve, mark: str) -> None:
        """Run a program in whose question, answer, tool argument and tool result the mark stands."""
        answer = reply(f"{mark} answer")
        if "with_tool" in self.lacks:
            program = self.asking(serve(answer).base_url)
        else:
            asks = tool_calls(call("look_up", word=f"{mark} argument"))

            def look_up(word: str) -> str:
                """Look a word up."""
                return f"{mark} result"

            program = self.with_tool(serve(asks, answer).base_url, look_up)
        self.finish(self.observe(program), f"{mark} question")


def _raise_a_secret() -> None:
    raise ValueError(f"the key {SECRET} is wrong")

"""One suite for both engines, and what each one promises beyond it."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mesh.decisions.engines import Engine
from mesh.decisions.opa_engine import OpaEngine
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.errors import PolicyError, PolicyInvalid
from mesh.evidence.canonical import canonical
from tests.differential.opa_server import OpaServer, running_opa


def policy(body: str, **others: str) -> Policy:
    """A policy whose decision is stated by a body, with further library modules by name."""
    modules = {"library/access.rego": f"package mesh.access\n\n{body}\n"}
    return Policy(modules | {f"library/{name}.rego": text for name, text in others.items()})


class EngineConformance:
    """What every engine does."""

    def test_the_value_of_the_entrypoint_comes_out_as_json(self, engine: Engine) -> None:
        engine.load(
            policy('decision := {"list": [input.a, null, true, 1.5, -3], "set": {"b", "a"}}')
        )

        value = engine.evaluate(b'{"a":"x"}')

        assert value == {"list": ["x", None, True, 1.5, -3], "set": ["a", "b"]}

    @pytest.mark.parametrize(
        "text",
        [
            'quo"te',
            "back\\slash",
            "line\nbreak",
            "nul\0cut",
            "\\u0041",
            "é\u2028😀",
            "\t\x01\x7f",
            "",
        ],
    )
    def test_texts_are_themselves(self, engine: Engine, text: str) -> None:
        engine.load(policy('decision := [input.a, input.b == input.a, sprintf("%s!", [input.a])]'))

        assert engine.evaluate(canonical({"a": text, "b": text})) == [text, True, f"{text}!"]

    def test_a_nul_does_not_cut_a_name_into_another(self, engine: Engine) -> None:
        engine.load(policy('default decision := false\ndecision if input.id == "ana"'))

        assert engine.evaluate(canonical({"id": "ana\0x"})) is False

    def test_nothing_is_decided_without_a_policy(self, engine: Engine) -> None:
        with pytest.raises(PolicyError, match="no policy is loaded"):
            engine.evaluate(b"{}")

    def test_a_new_policy_replaces_the_old_whole(self, engine: Engine) -> None:
        engine.load(policy("decision := data.mesh.other.x", other="package mesh.other\n\nx := 1\n"))
        assert engine.evaluate(b"{}") == 1

        engine.load(policy("default decision := 2\ndecision := data.mesh.other.x"))

        assert engine.evaluate(b"{}") == 2

    @pytest.mark.parametrize(
        "bad", ["decision := ", "decision := 1 if {", "decision := [1 2", "package again"]
    )
    def test_a_bad_policy_is_refused_and_the_old_one_decides(
        self, engine: Engine, bad: str
    ) -> None:
        engine.load(policy("decision := 1"))

        with pytest.raises(PolicyInvalid, match=r"library/access\.rego|does not"):
            engine.load(policy(bad))

        assert engine.evaluate(b"{}") == 1

    def test_an_unknown_function_never_decides(self, engine: Engine) -> None:
        with pytest.raises((PolicyInvalid, PolicyError)):
            engine.load(policy("decision := no_such(1)"))
            engine.evaluate(b"{}")

    def test_modules_may_use_each_others_functions(self, engine: Engine) -> None:
        engine.load(
            policy(
                "import data.mesh.zeta\n\ndecision := zeta.twice(input.a)",
                zeta="package mesh.zeta\n\ntwice(x) := data.mesh.alpha.total(x, x)\n",
                alpha="package mesh.alpha\n\ntotal(x, y) := x + y\n",
            )
        )

        assert engine.evaluate(b'{"a":2}') == 4

    def test_an_undefined_decision_is_an_error(self, engine: Engine) -> None:
        engine.load(policy("decision := 1 if input.a.b == 1"))

        with pytest.raises(PolicyError, match="undefined"):
            engine.evaluate(b"{}")

        assert engine.evaluate(b'{"a":{"b":1}}') == 1

    def test_a_failing_built_in_is_an_error_and_not_undefined(self, engine: Engine) -> None:
        engine.load(policy("default decision := 0\ndecision := to_number(input.a)"))

        with pytest.raises(PolicyError, match="failed"):
            engine.evaluate(b'{"a":"secret-value"}')

        assert engine.evaluate(b'{"a":"7"}') == 7

    def test_errors_never_tell_values(self, engine: Engine) -> None:
        engine.load(policy("decision := to_number(input.a)"))

        with pytest.raises(PolicyError) as raised:
            engine.evaluate(b'{"a":"secret-value"}')

        assert "secret-value" not in raised.value.message

    def test_two_results_are_an_error(self, engine: Engine) -> None:
        engine.load(policy("decision := 1 if input.a\n\ndecision := 2 if input.b"))

        with pytest.raises(PolicyError):
            engine.evaluate(b'{"a":true,"b":true}')

        assert engine.evaluate(b'{"b":true}') == 2

    def test_what_is_no_json_is_an_error(self, engine: Engine) -> None:
        engine.load(policy("decision := 1"))

        with pytest.raises(PolicyError):
            engine.evaluate(b"{")

        assert engine.evaluate(b"{}") == 1

    def test_many_threads_get_their_own_answers(self, engine: Engine) -> None:
        engine.load(policy("decision := input.a"))

        def ask(number: int) -> object:
            return engine.evaluate(canonical({"a": number}))

        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(ask, range(200))) == list(range(200))

    def test_an_evaluation_has_one_policy_while_another_loads(self, engine: Engine) -> None:
        policies = [
            policy(
                f"decision := [{n}, data.mesh.other.x]", other=f"package mesh.other\n\nx := {n}\n"
            )
            for n in range(2)
        ]
        engine.load(policies[0])
        stop = threading.Event()

        def reload() -> None:
            number = 0
            while not stop.is_set():
                number += 1
                engine.load(policies[number % 2])

        loading = threading.Thread(target=reload)
        loading.start()
        try:
            seen = [self.one_policy(engine) for _ in range(100)]
        finally:
            stop.set()
            loading.join()
        assert all(value is None or value in ([0, 0], [1, 1]) for value in seen)
        assert any(value is not None for value in seen)

    @staticmethod
    def one_policy(engine: Engine) -> object:
        """A decision, or None when it was refused."""
        try:
            return engine.evaluate(b"{}")
        except PolicyError:
            return None

    def test_a_closed_engine_decides_nothing(self, engine: Engine) -> None:
        engine.load(policy("decision := 1"))

        engine.close()

        with pytest.raises(PolicyError):
            engine.evaluate(b"{}")


class TestRegopy(EngineConformance):
    """rego-cpp in a process of its own, which may die at any time."""

    CRASH = 'decision := rand.intn("x", input.a)'
    HANG = 'decision := count(replace("abc", input.a, "x"))'

    @pytest.fixture
    def engine(self) -> Iterator[RegopyEngine]:
        engine = RegopyEngine()
        yield engine
        engine.close()

    def test_a_crash_denies_once_and_the_worker_is_replaced(self, engine: RegopyEngine) -> None:
        engine.load(policy(self.CRASH))
        before = engine.worker_pid

        with pytest.raises(PolicyError, match="died with status"):
            engine.evaluate(b'{"a":0}')

        assert engine.evaluate(b'{"a":1}') == 0
        assert engine.worker_pid not in (None, before)

    def test_a_hang_denies_once_and_the_worker_is_replaced(self, engine: RegopyEngine) -> None:
        engine.load(policy(self.HANG))

        with pytest.raises(PolicyError, match="CPU time"):
            engine.evaluate(b'{"a":""}')

        assert engine.evaluate(b'{"a":"b"}') == 3

    def test_a_worker_without_cpu_is_given_up(self) -> None:
        engine = RegopyEngine(deadline=0.02)
        try:
            engine.load(policy("decision := 1"))
            assert engine.worker_pid is not None
            os.kill(engine.worker_pid, signal.SIGSTOP)

            with pytest.raises(PolicyError, match="no answer"):
                engine.evaluate(b"{}")

            assert engine.evaluate(b"{}") == 1
        finally:
            engine.close()

    def test_a_killed_worker_is_replaced(self, engine: RegopyEngine) -> None:
        engine.load(policy("decision := 1"))
        assert engine.worker_pid is not None
        os.kill(engine.worker_pid, signal.SIGKILL)

        with pytest.raises(PolicyError):
            engine.evaluate(b"{}")

        assert engine.evaluate(b"{}") == 1

    @pytest.mark.parametrize(
        "fatal", ['decision := replace("abc", "", "x")', 'decision := rand.intn("x", 0)']
    )
    def test_a_policy_that_ends_the_worker_while_loading_is_refused(
        self, engine: RegopyEngine, fatal: str
    ) -> None:
        engine.load(policy("decision := 1"))

        with pytest.raises(PolicyInvalid, match="does not load"):
            engine.load(policy(fatal))

        assert engine.evaluate(b"{}") == 1

    def test_a_refusal_names_the_line(self, engine: RegopyEngine) -> None:
        with pytest.raises(PolicyInvalid, match=r"library/access\.rego:4: "):
            engine.load(policy("decision := 1\ndecision := [1 2"))

    def test_numbers_beyond_64_bits_are_refused_and_not_cut(self, engine: RegopyEngine) -> None:
        engine.load(policy("decision := input.a"))

        with pytest.raises(PolicyError):
            engine.evaluate(b'{"a":18446744073709551617}')

    def test_a_closed_engine_leaves_no_process(self, engine: RegopyEngine) -> None:
        engine.load(policy("decision := 1"))
        pid = engine.worker_pid
        assert pid is not None

        engine.close()

        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.fixture(scope="module", params=["tcp", "unix"])
def opa(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OpaServer]:
    unix = tmp_path_factory.mktemp("opa") / "s" if request.param == "unix" else None
    with running_opa(unix) as server:
        yield server


class TestOpa(EngineConformance):
    """A server that others may use too, and that may stop at any time."""

    @pytest.fixture
    def engine(self, opa: OpaServer) -> Iterator[OpaEngine]:
        engine = OpaEngine(opa.url, deadline=0.5)
        yield engine
        engine.close()

    def test_engines_that_share_a_server_stay_apart(
        self, engine: OpaEngine, opa: OpaServer
    ) -> None:
        other = OpaEngine(opa.url, instance="other")
        engine.load(policy("decision := 1"))
        other.load(policy("decision := 2"))

        assert (engine.evaluate(b"{}"), other.evaluate(b"{}")) == (1, 2)

        other.close()
        assert engine.evaluate(b"{}") == 1

    def test_a_restarted_server_is_loaded_again(self, engine: OpaEngine, opa: OpaServer) -> None:
        engine.load(policy("decision := 1"))
        assert engine.evaluate(b"{}") == 1

        opa.stop()
        try:
            with pytest.raises(PolicyError, match="can't be asked"):
                engine.evaluate(b"{}")
        finally:
            opa.start()

        with pytest.raises(PolicyError, match="undefined"):
            engine.evaluate(b"{}")
        assert engine.evaluate(b"{}") == 1

    def test_a_late_answer_denies(self, opa: OpaServer) -> None:
        engine = OpaEngine(opa.url, deadline=0.01, instance="late")
        try:
            numbers = "numbers.range(1, 400)"
            pairs = f"some a in {numbers}; some b in {numbers}; some c in {numbers}"
            engine.load(policy(f"decision := count([1 | {pairs}])"))

            with pytest.raises(PolicyError, match="took more than"):
                engine.evaluate(b"{}")
        finally:
            engine.close()

    def test_a_refusal_names_line_and_cause_in_the_policys_own_terms(
        self, engine: OpaEngine
    ) -> None:
        with pytest.raises(PolicyInvalid) as raised:
            engine.load(policy("decision := data.mesh.other.no_such(1)"))

        assert raised.value.message == (
            "the policy does not compile: "
            "library/access.rego:3: undefined function data.mesh.other.no_such"
        )

    def test_only_the_policys_own_data_can_be_named(self, engine: OpaEngine) -> None:
        with pytest.raises(PolicyInvalid, match="data"):
            engine.load(policy('decision := data["mesh"].other.x'))

    def test_a_server_that_is_not_there_denies_and_loads_nothing(self, tmp_path: Path) -> None:
        engine = OpaEngine(f"unix://{tmp_path}/none")

        with pytest.raises(PolicyError, match="can't be asked"):
            engine.load(policy("decision := 1"))
        with pytest.raises(PolicyError, match="no policy is loaded"):
            engine.evaluate(b"{}")

    @pytest.mark.parametrize(
        "url",
        [
            "https://127.0.0.1:1",
            "127.0.0.1:1",
            "http://x/y",
            "http://x?y",
            "unix://",
            "unix:///",
            "unix://host/path",
            "",
        ],
    )
    def test_only_a_plain_address_is_taken(self, url: str) -> None:
        with pytest.raises(ValueError, match="host:port or unix:///path"):
            OpaEngine(url)

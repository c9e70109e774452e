"""The checks of a GPU, on the CPU and in small."""

import pytest

from benchmarks import gpu


def test_the_checks_pass_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--small", "--device", "cpu"]) == 0
    table = capsys.readouterr().out
    for arm in gpu.ARMS:
        for check in ("bf16 against fp32", "a second run", "activations computed anew", "resume"):
            (line,) = (line for line in table.splitlines() if f"{arm}: {check}" in line)
            assert line.endswith("| yes |")
    assert "gloo on one device" in table and "**no**" not in table


def test_without_a_gpu_it_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert gpu.main([]) == 2
    assert "no GPU here" in capsys.readouterr().err

"""The public functions: responses, noise PSDs and sensitivities of every channel at any frequencies.

Conventions, in every function here: fractional frequency; one-sided PSDs [1/Hz]; a response is the sky average of
|F+|^2 + |Fx|^2, the SUM over both polarizations, unless `polarization="average"` asks for the average over the
polarization angle, which is half of it; a sensitivity is S_n = PSD / R.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from physics import units
from physics.numerics import checks
from physics.numerics.batching import chunked_map
from physics.tdi import approximate, correlations, foregrounds, kernels, numerical
from physics.tdi.channels import ChannelChoice, combination
from physics.tdi.combinations import Combination
from physics.tdi.detector import Detector, Parts, parts
from physics.tdi.foregrounds import Foreground
from physics.tdi.noise import STRAIN_SCALE, check_range
from physics.types import Frequencies, Real

CHUNK = 262144
"""Frequencies at a time: about 50 MB of temporaries."""

SIGNALS: Mapping[str, kernels.Signal] = {
    "exact": correlations.response_functions,
    "approximate": approximate.response_functions,
}
METHODS = (*SIGNALS, "numerical")
PARTS = ("all", "acceleration", "displacement")
POLARIZATIONS = ("sum", "average")


def response(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    polarization: str = "sum",
) -> Frequencies:
    """Return the sky-averaged response R of a channel to gravitational waves in fractional frequency, dimensionless.

    In float32 it underflows to 0 where R is below 1e-38: for T of generation 2 at x = 2 pi f L/c < 1e-3.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise; only the arm length matters here.
        channel: "X" "Y" "Z", "alpha" "beta" "gamma", "zeta", Beacon "P" "Q" "R", Relay "U" "V" "W", Monitor "M1" "M2"
            "M3"; "A" "E" "T" of a family, or "single", its first member; or a `Combination` of your own, with
            `method="numerical"`.
        family: "michelson" (default), "sagnac", "monitor", "beacon" or "relay", for "A", "E", "T" and "single".
        generation: 1 or 2.
        shift: k of the generation-2 factor 4 sin^2(k x/2); 4 (Michelson), 3 (Sagnac, zeta, Relay), 2 (Monitor) or 1
            (Beacon) by default. For zeta, generation 2 is a stand-in: no loop of that spectrum cancels laser noise.
        method: "exact", the closed form for equal arms; "approximate", elementary functions with a relative error of at
            most 2.5e-3 at any frequency; or "numerical" for any three arms, amplitudes per link and combinations, by a
            quadrature over the sky to 1e-12 in float64, for 2 pi f L/c up to 100.
        polarization: "sum" over both polarizations, or their "average", which is half of it.

    Returns:
        R, of the shape of `frequency`.

    Raises:
        ValueError: a frequency is not finite and positive, there is none, a name is unknown, "optimal" is asked for,
            which is a sensitivity only, the arms or the noises of the links differ and `method` is "exact", or it is
            "numerical" and 2 pi f L/c is above 100.
        PrecisionError: `method` is "numerical" and 64-bit is not enabled.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    checks.one_of(method, METHODS, "method")
    points = _frequencies(frequency)
    if method == "numerical":
        rows = _one(channel, family, generation, shift, "response")
        matrix = numerical.response_matrix(_doubled(points), _checked(det), rows)
        return _scale(matrix.real[..., 0, 0], 1.0 / _polarizations(polarization))
    chosen = _spectrum(combination(_named(channel), family, generation, shift), "response")
    numbers, rest = _equal_arms(det, method, points)
    shifts = _shift(chosen, points)
    return _scale(
        _response(points, numbers, shifts, rest=rest, spectrum=chosen.spectrum, signal=SIGNALS[method]),
        1.0 / _polarizations(polarization),
    )


def noise_psd(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    part: str = "all",
    foreground: Foreground | None = None,
) -> Frequencies:
    """Return the one-sided noise PSD of a channel in fractional frequency [1/Hz].

    The acceleration noise of 6 test masses pairs and the readout noise of 6 links are independent and equal.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise.
        channel: as in `response`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        part: "all", or the "acceleration" or "displacement" noise alone.
        foreground: S_conf(f) [1/Hz], such as `galactic_foreground` gives; R S_conf is added, with this channel's own R.

    Returns:
        PSD [1/Hz], of the shape of `frequency`, float64.

    Raises:
        PrecisionError: 64-bit is not enabled; float32 ends at 1e-38.
        ValueError: as in `response`; a frequency lies outside a tabulated noise shape or the band of a foreground; or
            a foreground is given for a part.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    checks.double_precision("a noise PSD [1/Hz]", "tdi.asd (a sensitivity)")
    checks.one_of(method, METHODS, "method")
    checks.one_of(part, PARTS, "part")
    if foreground is not None and part != "all":
        raise ValueError(f'foreground: expected None with part={part!r}; it belongs to "all"')
    points = _frequencies(frequency).astype(float)
    if method == "numerical":
        rows = _one(channel, family, generation, shift, "noise_psd")
        matrix = numerical.noise_matrix(points, _part(_checked(det), part), rows)
        psd = matrix.real[..., 0, 0] * STRAIN_SCALE**2
        if foreground is None:
            return psd
        gain = numerical.response_matrix(points, det, rows).real[..., 0, 0]
        return psd + gain * foregrounds.amplitude(points, foreground) ** 2
    chosen = _spectrum(combination(_named(channel), family, generation, shift), "noise_psd")
    numbers, rest = _equal_arms(det, method, points, part)
    psd = _noise_psd(points, numbers, _shift(chosen, points), rest=rest, spectrum=chosen.spectrum)
    if foreground is None:
        return psd
    gain = response(points, det, channel, family=family, generation=generation, shift=shift, method=method)
    return psd + gain * foregrounds.amplitude(points, foreground) ** 2


def sensitivity(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    polarization: str = "sum",
    foreground: Foreground | None = None,
) -> Frequencies:
    """Return the sensitivity S_n = PSD/R of a channel [1/Hz].

    With polarizations summed in R it compares with the one-sided PSD of ONE polarization of an isotropic unpolarized
    background; for "average" it is twice as large. It is evaluated with the common zeros of PSD and R divided out, so
    it is smooth at all frequencies and does not depend on the generation, nor, for A, E, T and the optimum, on the
    family.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise.
        channel: as in `response`; also "optimal", A, E and T combined: 1/S = 1/S_A + 1/S_E + 1/S_T.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        polarization: the convention of R: "sum" or "average".
        foreground: S_conf(f) [1/Hz] with polarizations summed, such as `galactic_foreground` gives; it adds to S_n of
            every single channel, and in "optimal" to those of A, E and T before they are combined.

    Returns:
        S_n [1/Hz], of the shape of `frequency`, float64.

    Raises:
        PrecisionError: 64-bit is not enabled; `asd` works without.
        ValueError: as in `response`; or a frequency lies outside a tabulated noise shape.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    checks.double_precision("a sensitivity [1/Hz]", "tdi.asd")
    checks.one_of(method, METHODS, "method")
    points = _frequencies(frequency).astype(float)
    if foreground is not None:
        options: dict[str, Any] = {"family": family, "generation": generation, "shift": shift, "method": method}
        return asd(points, det, channel, polarization=polarization, foreground=foreground, **options) ** 2
    if method == "numerical":
        rows = numerical.for_a_ratio(channel, family, generation, shift)
        ratio = numerical.sensitivity(points, _checked(det), rows)
        return ratio * (STRAIN_SCALE**2 * _polarizations(polarization))
    chosen = combination(_named(channel), family, generation, shift)
    numbers, rest = _equal_arms(det, method, points)
    ratio = _sensitivity(points, numbers, rest=rest, ratio=chosen.ratio, signal=SIGNALS[method])
    return _scale(ratio, _polarizations(polarization))


def asd(
    frequency: Real,
    det: Detector,
    channel: str | Combination = "X",
    *,
    family: str | None = None,
    generation: int = 2,
    shift: int | None = None,
    method: str = "exact",
    polarization: str = "sum",
    foreground: Foreground | None = None,
) -> Frequencies:
    """Return the amplitude spectral density of the sensitivity, sqrt(S_n) [Hz^-1/2].

    It works in float32 too, where its relative error is below 1e-3 for 2 pi f L/c from 1e-6 to 1e3.

    Args:
        frequency: f [Hz], of any shape.
        det: arm length and noise.
        channel: as in `sensitivity`.
        family: as in `response`.
        generation: 1 or 2.
        shift: as in `response`.
        method: as in `response`.
        polarization: as in `sensitivity`.
        foreground: as in `sensitivity`; in float32 a callable of your own needs 64-bit enabled.

    Returns:
        sqrt(S_n) [Hz^-1/2], of the shape and precision of `frequency`.

    Raises:
        ValueError: as in `sensitivity`.
        UnitsError: `frequency` is a quantity that is not a frequency.

    Source: derived in docs/theory/tdi.md.
    """
    checks.one_of(method, METHODS, "method")
    points = _frequencies(frequency)
    if method == "numerical":
        rows = numerical.for_a_ratio(channel, family, generation, shift)
        level = None if foreground is None else foregrounds.amplitude(points, foreground) / STRAIN_SCALE
        ratio = numerical.sensitivity(_doubled(points), _checked(det), rows, level)
        return jnp.sqrt(ratio) * (STRAIN_SCALE * _polarizations(polarization) ** 0.5)
    chosen = combination(_named(channel), family, generation, shift)
    numbers, rest = _equal_arms(det, method, points)
    root = _polarizations(polarization) ** 0.5
    if foreground is None:
        return _scale(_amplitude(points, numbers, rest=rest, ratio=chosen.ratio, signal=SIGNALS[method]), root)
    level = foregrounds.amplitude(points, foreground)
    each = {
        kind: foregrounds.with_foreground(
            _amplitude(points, numbers, rest=rest, ratio=ratio, signal=SIGNALS[method]), level
        )
        for kind, ratio in _streams(chosen).items()
    }
    return _scale(foregrounds.optimum(each["A"], each["T"]) if chosen.kind == "optimal" else each[chosen.kind], root)


def _frequencies(frequency: Real) -> Frequencies:
    return checks.positive(units.array(frequency, "Hz", "frequency"), "frequency")


def _equal_arms(det: Detector, method: str, points: Frequencies, part: str = "all") -> Parts:
    """Return the arm length and noise of `det`, ready for the kernels."""
    _checked(det)
    arm_length, noise = det.arm_length, det.noise if part == "all" else det.noise.only(part)
    if isinstance(arm_length, tuple):
        raise ValueError(
            f"det: method {method!r} is the closed form for one arm length, but this detector has three arms, "
            f'{arm_length}; use method="numerical"'
        )
    check_range(noise, points)
    return parts((arm_length, noise), points.dtype)


def _checked(det: Detector) -> Detector:
    if not isinstance(det, Detector):
        raise TypeError(f"det: expected a Detector, got {type(det)}")
    return det


def _part(det: Detector, part: str) -> Detector:
    return Detector(det.arm_length, det.noise.only(part), det.name)


def _doubled(points: Frequencies) -> Frequencies:
    checks.double_precision("method 'numerical'", "method 'exact'")
    return points.astype(float)


def _named(channel: str | Combination) -> str:
    if isinstance(channel, Combination):
        raise ValueError('channel: a Combination has no closed form; use method="numerical"')
    return channel


def _one(
    channel: str | Combination, family: str | None, generation: int, shift: int | None, function: str
) -> list[Combination]:
    """Return the combination that is asked for, in a list; there is none for "optimal"."""
    if not isinstance(channel, Combination):
        _spectrum(combination(channel, family, generation, shift), function)
    return numerical.chosen_combinations(channel, family, generation, shift)


def _spectrum(chosen: ChannelChoice, function: str) -> ChannelChoice:
    if chosen.kind == "optimal":
        raise ValueError(
            f'channel: "optimal" combines A, E and T into a sensitivity, it has no {function}; '
            "use tdi.sensitivity or tdi.asd"
        )
    return chosen


def _streams(chosen: ChannelChoice) -> dict[str, tuple[str, str]]:
    """Return the sensitivities that a channel is made of: the optimum of those of A (= E) and T."""
    return {"A": ("A", ""), "T": ("T", "")} if chosen.kind == "optimal" else {chosen.kind: chosen.ratio}


def _shift(chosen: ChannelChoice, points: Frequencies) -> Any:
    return np.asarray(chosen.shift, points.dtype)


def _polarizations(polarization: str) -> float:
    return 1.0 if checks.one_of(polarization, POLARIZATIONS, "polarization") == "sum" else 2.0


def _scale(result: Frequencies, factor: float) -> Frequencies:
    return result if factor == 1.0 else result * factor


def _mapped(kernel: Callable[[Float[Array, ""]], Float[Array, ""]], points: Frequencies) -> Frequencies:
    return chunked_map(kernel, points, chunk_size=CHUNK)


@partial(jax.jit, static_argnames=("rest", "spectrum", "signal"))
def _response(
    points: Frequencies, numbers: list[Any], shift: Any, *, rest: Any, spectrum: tuple[str, str], signal: Any
) -> Frequencies:
    arm_length, _ = Parts(numbers, rest).together()
    return _mapped(lambda f: kernels.response(kernels.dimensionless(f, arm_length), shift, spectrum, signal), points)


@partial(jax.jit, static_argnames=("rest", "spectrum"))
def _noise_psd(
    points: Frequencies, numbers: list[Any], shift: Any, *, rest: Any, spectrum: tuple[str, str]
) -> Frequencies:
    arm_length, noise = Parts(numbers, rest).together()
    return _mapped(lambda f: kernels.noise_psd(f, arm_length, noise, shift, spectrum), points)


@partial(jax.jit, static_argnames=("rest", "ratio", "signal"))
def _sensitivity(
    points: Frequencies, numbers: list[Any], *, rest: Any, ratio: tuple[str, str], signal: Any
) -> Frequencies:
    arm_length, noise = Parts(numbers, rest).together()
    return _mapped(lambda f: kernels.sensitivity(f, arm_length, noise, ratio, signal), points)


@partial(jax.jit, static_argnames=("rest", "ratio", "signal"))
def _amplitude(
    points: Frequencies, numbers: list[Any], *, rest: Any, ratio: tuple[str, str], signal: Any
) -> Frequencies:
    arm_length, noise = Parts(numbers, rest).together()
    return _mapped(lambda f: kernels.amplitude(f, arm_length, noise, ratio, signal), points)

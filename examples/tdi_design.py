r"""How long should the arms be? The arm length that hears most, under a fixed noise budget, found by its gradient.

    python examples/tdi_design.py --out DIR [--laser-power FACTOR] [--foreground NAME]

The budget: test masses of 3 fm s^-2 Hz^-1/2; 5 pm Hz^-1/2 of readout noise that any arm has; and the shot noise of a
fixed laser and telescope, 8 pm Hz^-1/2 at 2.5 Gm, which grows as L / sqrt(power), because the light received falls as
power / L^2. Longer arms gain at low frequencies and lose at high ones. What is optimised is the SNR of a population of
intermediate-mass black holes, 100 to 10,000 solar masses: the mean of ln(SNR) over their masses, each of its last year
below 1 Hz. (For massive black holes alone, longer is better as far as this budget goes.)

Writes to --out: design.png, design.ecsv (SNR by arm length and mass), summary.json.
"""

import argparse
import importlib.metadata
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import optax  # noqa: E402
from astropy.table import QTable  # noqa: E402

import physics  # noqa: E402
from physics import files, tdi  # noqa: E402
from physics.constants import JULIAN_YEAR, SOLAR_MASS_PARAMETER, SPEED_OF_LIGHT  # noqa: E402

ACCELERATION = 3e-15  # m s^-2 Hz^-1/2
OTHER_READOUT = 5e-12  # m Hz^-1/2
SHOT_NOISE = 8e-12  # m Hz^-1/2 at REFERENCE_ARM
REFERENCE_ARM = 2.5e9  # m
DISTANCE = 1e3  # Mpc; every SNR scales with it alike, so that the optimum does not depend on it
RANGE = (1e8, 1e11)  # m
OUTPUTS = ("design.png", "design.ecsv", "summary.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--laser-power", type=float, default=1.0, help="power in units of the budget's (default 1)")
    parser.add_argument("--foreground", help='Galactic binaries, such as "robson19" (default none)')
    parser.add_argument("--start", type=float, default=5e8, help="arm length to start from [m] (default 5e8)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    args = parser.parse_args()
    if not (math.isfinite(args.laser_power) and args.laser_power > 0):
        parser.error(f"--laser-power: expected a positive number, got {args.laser_power}")
    if not RANGE[0] <= args.start <= RANGE[1]:
        parser.error(f"--start: expected {RANGE[0]:g} to {RANGE[1]:g} m, got {args.start:g}")
    return args


def design(log_arm: jax.Array, power: float) -> tdi.Detector:
    """Return the detector that the budget allows for an arm of exp(log_arm) metres."""
    arm = jnp.exp(log_arm)
    readout = jnp.hypot(OTHER_READOUT, SHOT_NOISE / math.sqrt(power) * arm / REFERENCE_ARM)
    return tdi.Detector(arm, tdi.InstrumentNoise(ACCELERATION, readout), "design")


def bands(masses: np.ndarray, points: int) -> np.ndarray:
    """Return the frequencies [Hz] of each inspiral's last year, (mass, frequency), for equal-mass totals [solar]."""
    seconds = SOLAR_MASS_PARAMETER * masses / SPEED_OF_LIGHT**3
    first = (256.0 / 5.0 * JULIAN_YEAR) ** (-3.0 / 8.0) * (seconds * 0.25**0.6) ** (-5.0 / 8.0) / math.pi
    return np.geomspace(np.maximum(first, 1e-5), np.minimum(1.0 / (6.0**1.5 * math.pi * seconds), 1.0), points, axis=-1)


def log_snrs(
    masses: np.ndarray, power: float, foreground: tdi.GalacticForeground | None, points: int
) -> Callable[[jax.Array], jax.Array]:
    """Return the function from ln(arm length) to ln(SNR) of every mass."""
    frequency = jnp.asarray(bands(masses, points))
    chirp_masses = jnp.asarray(masses * 0.25**0.6)

    def evaluate(log_arm: jax.Array) -> jax.Array:
        det = design(log_arm, power)

        def one(band: jax.Array, mass: jax.Array) -> jax.Array:
            return jnp.log(8.0 * tdi.horizon_distance(band, mass, det, foreground=foreground) / DISTANCE)

        return jax.vmap(one)(frequency, chirp_masses)

    return jax.jit(evaluate)


def optimise(
    objective: Callable[[jax.Array], jax.Array], start: float, steps: int
) -> tuple[float, list[tuple[float, float]]]:
    """Climb from `start` [m] with the gradient; return the best arm length and the path (arm length, objective)."""
    solver = optax.lbfgs()
    value_and_gradient = jax.jit(optax.value_and_grad_from_state(lambda log: -objective(log)))
    update = jax.jit(lambda g, s, p, v: solver.update(g, s, p, value=v, grad=g, value_fn=lambda log: -objective(log)))
    log_arm = jnp.log(start)
    state = solver.init(log_arm)
    path = []
    for _ in range(steps):
        value, gradient = value_and_gradient(log_arm, state=state)
        path.append((float(jnp.exp(log_arm)), -float(value)))
        if abs(float(gradient)) < 1e-8:
            break
        change, state = update(gradient, state, log_arm, value)
        log_arm = jnp.clip(optax.apply_updates(log_arm, change), *(math.log(end) for end in RANGE))
    return float(jnp.exp(log_arm)), path


def draw(scan: np.ndarray, snrs: np.ndarray, masses: np.ndarray, path: list, power: float, folder: Path) -> None:
    best = path[-1][0]
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    for mass, snr in zip(masses, snrs.T, strict=True):
        exponent = math.floor(math.log10(mass) + 1e-9)
        left.loglog(scan, snr, label=rf"${mass / 10**exponent:.1f} \times 10^{{{exponent}}}$")
    left.loglog(scan, np.exp(np.log(snrs).mean(axis=1)), "k", linewidth=2, label="geometric mean")
    left.plot(*zip(*((arm, math.exp(value)) for arm, value in path), strict=True), "ro-", markersize=4, label="climb")
    left.axvline(best, color="0.5", linewidth=0.8)
    left.set_ylim(snrs.min() / 100.0, 3.0 * snrs.max())
    left.set_xlabel("arm length $L$ [m]")
    left.set_ylabel(f"SNR at {DISTANCE / 1e3:g} Gpc, averaged over sky and inclination")
    left.legend(title="$(1 + z) M$ [solar masses]", fontsize="small", ncols=3, loc="lower center")
    frequency = np.geomspace(1e-5, 1.0, 500)
    for arm, style in ((REFERENCE_ARM, "C0--"), (best, "C3-")):
        curve = tdi.curve(frequency, design(jnp.log(arm), power), "optimal")
        right.loglog(frequency, curve.asd, style, label=f"{arm / 1e9:.2f} Gm")
    right.set(xlabel="frequency $f$ [Hz]", ylabel=r"$\sqrt{S_n}$ of $A + E + T$ [Hz$^{-1/2}$], without foreground")
    right.legend(title="arm length")
    figure.savefig(folder / "design.png", dpi=150)
    plt.close(figure)


def main() -> None:
    args = arguments()
    with files.publishing(args.out, OUTPUTS, overwrite=args.overwrite) as folder:
        foreground = None if args.foreground is None else tdi.galactic_foreground(args.foreground, 4.0 * JULIAN_YEAR)
        started = time.perf_counter()
        masses = np.geomspace(1e2, 1e4, 3 if args.smoke else 5)
        evaluate = log_snrs(masses, args.laser_power, foreground, 50 if args.smoke else 400)
        best, path = optimise(lambda log_arm: evaluate(log_arm).mean(), args.start, 40)
        scan = np.geomspace(*RANGE, 61 if args.smoke else 241)
        snrs = np.exp(np.asarray(jax.lax.map(evaluate, jnp.log(scan))))
        means = np.log(snrs).mean(axis=1)
        draw(scan, snrs, masses, path, args.laser_power, folder)
        table = QTable({"arm_length": physics.units.quantity(scan, "m")})
        for mass, snr in zip(masses, snrs.T, strict=True):
            table[f"snr_{mass:.2e}"] = snr
        table.meta = {"columns": "snr_ and the redshifted total mass in solar masses", "distance_Mpc": DISTANCE}
        table.write(folder / "design.ecsv", format="ascii.ecsv")
        summary = {
            "arm_length_m": best,
            "arm_length_by_scan_m": float(scan[means.argmax()]),
            "scan_step_ratio": float(scan[1] / scan[0]),
            "readout_m_per_sqrt_Hz": float(design(jnp.log(best), args.laser_power).noise.displacement),
            "mean_log_snr": float(evaluate(jnp.log(best)).mean()),
            "mean_log_snr_at_start": path[0][1],
            "steps": len(path),
            "laser_power": args.laser_power,
            "foreground": "none" if foreground is None else foreground.label,
            "versions": {name: importlib.metadata.version(name) for name in ("physneuro", "jax", "optax")},
            "seconds": round(time.perf_counter() - started, 1),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    gain = math.exp(summary["mean_log_snr"] - summary["mean_log_snr_at_start"])
    print(f"best arm length {best / 1e9:.3f} Gm after {len(path)} steps; SNR {gain:.3f} times that at {args.start:g} m")
    print(f"by a scan of {len(scan)} lengths: {summary['arm_length_by_scan_m'] / 1e9:.3f} Gm")
    for name in OUTPUTS:
        print(f"  {args.out / name}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"tdi_design: {type(error).__name__}: {error}")

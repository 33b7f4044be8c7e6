"""The sensitivity of a detector: every TDI channel, what it hears of a background, how far it hears inspirals.

    python examples/tdi_sensitivity.py --out DIR [--detector LISA] [--arm-length METRES] [--foreground NAME]

Writes to --out:
    families.png        amplitude spectral density of every family, with f_n, f_t and the regions between them
    uses.png            power-law sensitivity to a background, and horizon distance of inspirals
    sensitivity.ecsv    the curves, with unit and convention
    summary.json        the numbers, with versions and device
"""

import argparse
import dataclasses
import importlib.metadata
import json
import math
import sys
import time
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from astropy.table import QTable  # noqa: E402

import physics  # noqa: E402
from physics import files, tdi  # noqa: E402
from physics.constants import JULIAN_YEAR, SOLAR_MASS_PARAMETER, SPEED_OF_LIGHT  # noqa: E402

DETECTORS = {det.name: det for det in (tdi.LISA, tdi.TAIJI, tdi.TIANQIN)}
CHANNELS = ("X", "alpha", "zeta", "M1", "P", "U", "A", "T", "optimal")
OUTPUTS = ("families.png", "uses.png", "sensitivity.ecsv", "summary.json")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the results; made if it is missing")
    parser.add_argument("--detector", choices=DETECTORS, default="LISA", help="arm length and noise (default LISA)")
    parser.add_argument("--arm-length", type=float, help="another arm length [m]")
    parser.add_argument("--white", action="store_true", help="noise without its spectral shapes")
    parser.add_argument("--foreground", help='Galactic binaries, such as "robson19" (default none)')
    parser.add_argument("--years", type=float, default=4.0, help="observation time (default 4)")
    parser.add_argument("--smoke", action="store_true", help="smallest sizes that run all the code")
    parser.add_argument("--overwrite", action="store_true", help="replace results that are there already")
    return parser.parse_args()


def detector(args: argparse.Namespace) -> tdi.Detector:
    det = DETECTORS[args.detector]
    if args.white:
        det = det.white()
    if args.arm_length is not None:
        det = dataclasses.replace(det, arm_length=args.arm_length)
    return det


def curves(det: tdi.Detector, frequency: jax.Array, foreground: tdi.GalacticForeground | None, folder: Path) -> dict:
    """Tabulate and draw every channel; return where each is best."""
    figure, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
    tdi.plot_families(det, frequency, ax, foreground=foreground)
    figure.savefig(folder / "families.png", dpi=150)
    plt.close(figure)
    table = QTable({"frequency": physics.units.quantity(frequency, "Hz")})
    summary = {}
    for channel in CHANNELS:
        curve = tdi.curve(frequency, det, channel, foreground=foreground)
        table[channel] = curve.to_quantity()
        best = int(jnp.argmin(curve.asd))
        summary[channel] = {
            "lowest_asd_per_sqrt_Hz": float(curve.asd[best]),
            "at_Hz": float(frequency[best]),
        }
    table.meta = {
        "convention": curve.convention,
        "detector": det.name,
        "arm_length_m": float(det.arm_length),
        "foreground": curve.foreground_label,
        "generation": curve.generation,
        "monitor": "M1 is the first Monitor channel; E would be the orthogonal channel",
    }
    table.write(folder / "sensitivity.ecsv", format="ascii.ecsv")
    return summary


def horizons(
    det: tdi.Detector, masses: np.ndarray, foreground: tdi.GalacticForeground | None, years: float, points: int
) -> np.ndarray:
    """Return the distance [Mpc] at which equal-mass inspirals of redshifted total mass [solar] have an SNR of 8."""
    result = []
    for mass in masses:
        chirp = mass * 0.25**0.6
        last = SPEED_OF_LIGHT**3 / (6.0**1.5 * math.pi * SOLAR_MASS_PARAMETER * mass)
        time_scale = SOLAR_MASS_PARAMETER * chirp / SPEED_OF_LIGHT**3
        # Frequency from which the inspiral lasts as long as the observation.
        first = (256.0 / 5.0 * years * JULIAN_YEAR) ** (-3.0 / 8.0) * time_scale ** (-5.0 / 8.0) / math.pi
        band = np.geomspace(max(first, 2e-5), min(last, 1.0), points)
        result.append(tdi.horizon_distance(band, chirp, det, foreground=foreground))
    return np.asarray(jnp.stack(result))


def uses(det: tdi.Detector, args: argparse.Namespace, foreground: tdi.GalacticForeground | None, folder: Path) -> dict:
    """Draw what the detector hears; return the numbers."""
    frequency = np.geomspace(2e-5, 1.0, 100 if args.smoke else 2000)
    masses = np.geomspace(3e3, 3e7, 5 if args.smoke else 41)
    law = tdi.power_law_sensitivity(frequency, det, duration=args.years * JULIAN_YEAR, foreground=foreground)
    noise = tdi.energy_density(frequency, det, "optimal", foreground=foreground)
    distance = horizons(det, masses, foreground, args.years, 100 if args.smoke else 1000)
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    left.loglog(frequency, noise, label=r"noise, $A$, $E$, $T$ together")
    left.loglog(law.frequency, law.omega, label=f"power laws of SNR 10, {args.years:g} yr")
    left.set(xlabel="frequency $f$ [Hz]", ylabel=r"energy density $h^2\,\Omega(f)$", ylim=(1e-14, 1.0))
    left.legend()
    right.loglog(masses, distance)
    right.set_xlabel(r"redshifted total mass $(1 + z) M$ [solar masses], equal masses")
    right.set_ylabel("luminosity distance of SNR 8 [Mpc]\ninspiral, averaged over sky and inclination")
    figure.suptitle(f"{det.name}, foreground: {'none' if foreground is None else foreground.label}")
    figure.savefig(folder / "uses.png", dpi=150)
    plt.close(figure)
    lowest, farthest = int(np.argmin(law.omega)), int(np.argmax(distance))
    return {
        "background_h2_omega": float(law.omega[lowest]),
        "background_at_Hz": float(frequency[lowest]),
        "horizon_Mpc": float(distance[farthest]),
        "horizon_total_mass_solar": float(masses[farthest]),
    }


def main() -> None:
    args = arguments()
    with files.publishing(args.out, OUTPUTS, overwrite=args.overwrite) as folder:
        started = time.perf_counter()
        det = detector(args)
        foreground = None
        if args.foreground is not None:
            # The figures span more than the band of some fits.
            foreground = tdi.galactic_foreground(args.foreground, args.years * JULIAN_YEAR, outside="zero")
        marks = tdi.characteristic_frequencies(det)
        frequency = jnp.geomspace(1e-5, 30.0 * float(marks.f_t), 100 if args.smoke else 2000)
        summary = {
            "detector": {"name": det.name, "arm_length_m": float(det.arm_length), "white": args.white},
            "foreground": "none" if foreground is None else foreground.label,
            "f_n_Hz": float(marks.f_n),
            "f_t_Hz": float(marks.f_t),
            "flat_asd_per_sqrt_Hz": float(marks.flat_asd),
            "channels": curves(det, frequency, foreground, folder),
            **uses(det, args, foreground, folder),
            "versions": {name: importlib.metadata.version(name) for name in ("physneuro", "jax", "numpy", "astropy")},
            "device": jax.devices()[0].device_kind,
            "seconds": round(time.perf_counter() - started, 1),
        }
        (folder / "summary.json").write_text(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    report(summary, args.out)


def report(summary: dict, out: Path) -> None:
    print(f"{summary['detector']['name']}: flat from {summary['f_n_Hz']:.3g} to {summary['f_t_Hz']:.3g} Hz")
    for channel, best in summary["channels"].items():
        print(
            f"  {channel:8s} lowest sqrt(S_n) {best['lowest_asd_per_sqrt_Hz']:.3e} /sqrt(Hz) at {best['at_Hz']:.3g} Hz"
        )
    print(f"background of SNR 10: h^2 Omega {summary['background_h2_omega']:.2e}")
    print(f"inspirals of SNR 8: to {summary['horizon_Mpc']:.3g} Mpc")
    for name in OUTPUTS:
        print(f"  {out / name}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        sys.exit(f"tdi_sensitivity: {type(error).__name__}: {error}")

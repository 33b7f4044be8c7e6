"""What a model of population activity has to beat: smoothed spikes, and mean responses to conditions.

Both return expected counts per bin of every neuron in every bin, as `langevinflow.predict_rates` does. They learn from
the trials of the split "train" only, choose their settings by cross-validation among them, and keep to the host.
"""

from neuro.baselines.conditions import ConditionRates, condition_rates
from neuro.baselines.readout import PoissonReadout
from neuro.baselines.smoothing import SmoothedRates, smoothed_rates

__all__ = ["ConditionRates", "PoissonReadout", "SmoothedRates", "condition_rates", "smoothed_rates"]

"""Which of a model's hidden layers features are taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raysweep.errors import InvalidInput

if TYPE_CHECKING:
    from raysweep.models.source import ModelInputs
    from raysweep.spec.tuning import Layer


def num_layers(inputs: ModelInputs) -> int:
    """The number of a model's blocks. Its hidden layers are one more: 0 is that of the embeddings.

    Raises:
        InvalidInput: the model has an encoder and a decoder, or its configuration names no number.
    """
    config = inputs.config
    if config.is_encoder_decoder:
        raise InvalidInput(
            f"model {inputs.model.name!r} ({config.model_type}) has an encoder and a decoder, not "
            "one layer after another; features are taken from encoders and decoders"
        )
    found = getattr(config.get_text_config(), "num_hidden_layers", None)
    if not isinstance(found, int):
        raise InvalidInput(
            f"model {inputs.model.name!r}: the configuration of a {config.model_type} names no "
            "num_hidden_layers, so that no layer can be chosen"
        )
    return found


def layer_number(layer: Layer, inputs: ModelInputs) -> int:
    """A layer as its number from 0; raises as `num_layers`.

    Raises:
        InvalidInput: the model has no such layer.
    """
    last = num_layers(inputs)
    if layer == "middle":
        return last // 2
    if not -last - 1 <= layer <= last:
        raise InvalidInput(
            f"model {inputs.model.name!r} has no layer {layer}; it has 0 (the embeddings) to {last}, and −1 "
            f'to −{last + 1} from the end, and "middle"'
        )
    return layer if layer >= 0 else last + 1 + layer

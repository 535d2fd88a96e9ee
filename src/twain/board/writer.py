"""SummaryWriter: what TensorBoard shows, written as event files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twain.nn import Module
from twain.nn.tracing import trace_module

from .encode import array, grid, pixels, png, wav
from .events import EventFile, messages
from .graph import clean, graph_def
from .hparams import Domain, plain, summaries
from .projector import write_embedding


class SummaryWriter:
    """Writes what TensorBoard shows (`tensorboard --logdir FOLDER`) into a folder, which is made if need be.

    A context manager. Methods are PyTorch's; a `step` orders what is written under one tag. The file is flushed every
    `flush_seconds`, by `flush()` and by `close()`; what was written stays readable when the program is killed.

    Raises:
        ImportError: tensorboardX is not installed.
        OSError: the folder can't be made; later, the disk is full (FileWriteError).
        ValueError: the writer is closed.
    """

    def __init__(self, folder: str | os.PathLike[str], flush_seconds: float = 120.0):
        self.folder = os.fspath(folder)
        self.flush_seconds = flush_seconds
        messages("SummaryWriter")
        self._file: EventFile | None = EventFile(self.folder, flush_seconds)
        self._others: dict[str, EventFile] = {}  # of runs below this one
        self._has_hparams = False

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"SummaryWriter({self.folder!r}{', closed' if self._file is None else ''})"

    def _open(self, function: str) -> EventFile:
        if self._file is None:
            raise ValueError(f"[SummaryWriter.{function}] expected an open writer, got a closed one")
        return self._file

    def _run(self, function: str, name: str) -> EventFile:
        """The event file of a run in a folder below."""
        self._open(function)
        if name not in self._others:
            self._others[name] = EventFile(os.path.join(self.folder, name), self.flush_seconds)
        return self._others[name]

    def _add(self, function: str, summary: Any, step: int | None, file: EventFile | None = None) -> None:
        (file or self._open(function)).write(summary=summary, step=_step(function, step))

    # ------------------------------------------------------------ numbers
    def add_scalar(self, tag: str, value: Any, step: int | None = None) -> None:
        """A number (Python's, or a tensor of one element) at a step; NaN and infinities are kept."""
        self._add("add_scalar", _scalar("add_scalar", tag, value), step)

    def add_scalars(self, tag: str, values: Mapping[str, Any], step: int | None = None) -> None:
        """Several numbers in one chart: each becomes a run `TAG_NAME` in a folder below."""
        function = "add_scalars"
        self._open(function)
        if not isinstance(values, Mapping):
            raise TypeError(f"[SummaryWriter.add_scalars] expected {{name: number}}, got {type(values).__name__}")
        made = {name: _scalar(function, tag, value) for name, value in values.items()}
        for name, summary in made.items():
            self._add(function, summary, step, self._run(function, clean(f"{tag}_{name}".replace("/", "_"))))

    def add_histogram(self, tag: str, values: Any, step: int | None = None, bins: int = 64) -> None:
        """The distribution of a tensor's elements in so many equal bins; NaN and infinities are left out."""
        from tensorboardX.summary import histogram

        self._open("add_histogram")
        given = array(values)
        if given.dtype.kind not in "fiub":
            raise TypeError(f"[SummaryWriter.add_histogram] expected real numbers for {tag!r}, got {given.dtype}")
        numbers = given.astype(np.float64).ravel()
        finite = numbers[np.isfinite(numbers)]
        if finite.size == 0:
            raise ValueError(
                f"[SummaryWriter.add_histogram] expected finite values for {tag!r}, got none among {numbers.size}"
            )
        self._add("add_histogram", histogram(tag, finite, bins), step)

    def add_parameters(self, model: Any, step: int | None = None, gradients: bool = True) -> None:
        """A histogram of each parameter of a Module, and of its gradient where it has one: `parameters/NAME`,
        `gradients/NAME`. What has no finite value is left out, and counted by the scalar `not finite/NAME`."""
        self._open("add_parameters")
        if not isinstance(model, Module):
            raise TypeError(f"[SummaryWriter.add_parameters] expected a Module, got {type(model).__name__}")
        for name, value in model.named_parameters():
            both = [("parameters", value)] + (
                [("gradients", value.grad)] if gradients and value.grad is not None else []
            )
            for kind, tensor in both:
                self._distribution(f"{kind}/{name}", tensor, step)

    def _distribution(self, tag: str, tensor: Any, step: int | None) -> None:

        numbers = array(tensor)
        bad = int(numbers.size - np.isfinite(numbers).sum())
        if bad:
            self.add_scalar(f"not finite/{tag}", bad, step)
        if bad < numbers.size:
            self.add_histogram(tag, numbers, step)

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        step: int | None = None,
        thresholds: int = 127,
        weights: Any = None,
    ) -> None:
        """Precision and recall at so many thresholds (at most 127): labels 0 or 1, predictions in [0, 1], one shape."""
        from tensorboardX.summary import pr_curve

        self._open("add_pr_curve")
        true, scores = array(labels).ravel(), array(predictions).astype(np.float64)
        if array(labels).shape != scores.shape or scores.size == 0:
            raise ValueError(
                f"[SummaryWriter.add_pr_curve] expected labels and predictions of one shape, got {array(labels).shape} and "
                f"{scores.shape}"
            )
        if not np.isin(true, (0, 1)).all():
            raise ValueError("[SummaryWriter.add_pr_curve] expected labels 0 or 1, got others")
        if not ((scores >= 0) & (scores <= 1)).all():  # NaN too
            raise ValueError("[SummaryWriter.add_pr_curve] expected predictions in [0, 1], got others")
        if not 2 <= thresholds <= 127:
            raise ValueError(f"[SummaryWriter.add_pr_curve] expected 2 to 127 thresholds, got {thresholds!r}")
        weighing = None if weights is None else np.broadcast_to(array(weights), scores.shape).ravel()
        self._add("add_pr_curve", pr_curve(tag, true, scores.ravel(), thresholds, weighing), step)

    # ------------------------------------------------------------ pictures and sound
    def add_image(self, tag: str, image: Any, step: int | None = None, layout: str = "CHW") -> None:
        """An image [C, H, W] or [H, W] (or as `layout` says: "HWC"), C of 1, 3 or 4: floats in [0, 1] (others are
        clipped), uint8 or bool."""
        self._open("add_image")
        self._add_pixels("add_image", tag, pixels("SummaryWriter.add_image", image, layout)[0], step)

    def add_images(
        self, tag: str, images: Any, step: int | None = None, layout: str = "NCHW", columns: int | None = None
    ) -> None:
        """Images [N, C, H, W] (or "NHWC", "NHW") in one grid of so many columns; values as in `add_image`."""
        self._open("add_images")
        if columns is not None and columns < 1:
            raise ValueError(f"[SummaryWriter.add_images] expected at least 1 column, got {columns!r}")
        self._add_pixels("add_images", tag, grid(pixels("SummaryWriter.add_images", images, layout), columns), step)

    def _add_pixels(self, function: str, tag: str, image: Any, step: int | None) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        channels, height, width = image.shape
        message = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=png(image))
        self._add(function, Summary(value=[Summary.Value(tag=tag, image=message)]), step)

    def add_figure(self, tag: str, figure: Any, step: int | None = None, close: bool = True) -> None:
        """A figure of Matplotlib, or a list of them in one grid; closed afterwards."""
        from matplotlib import pyplot
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self._open("add_figure")
        figures = list(figure) if isinstance(figure, (list, tuple)) else [figure]
        drawn = []
        for one in figures:
            canvas = FigureCanvasAgg(one)
            canvas.draw()
            drawn.append(np.asarray(canvas.buffer_rgba()).transpose(2, 0, 1).copy())
            if close:
                pyplot.close(one)
        if len({d.shape for d in drawn}) != 1:
            raise ValueError("[SummaryWriter.add_figure] expected figures of one size, got others")
        self._add_pixels("add_figure", tag, grid(np.stack(drawn)), step)

    def add_audio(self, tag: str, sound: Any, step: int | None = None, sample_rate: int = 44100) -> None:
        """A wave [samples] or [channels, samples], floats in [-1, 1] (others are clipped), kept as 16 bits."""
        from tensorboardX.proto.summary_pb2 import Summary

        self._open("add_audio")
        content, channels, length = wav("SummaryWriter.add_audio", sound, sample_rate)
        message = Summary.Audio(
            sample_rate=sample_rate, num_channels=channels, length_frames=length, encoded_audio_string=content,
            content_type="audio/wav",
        )  # fmt: skip
        self._add("add_audio", Summary(value=[Summary.Value(tag=tag, audio=message)]), step)

    def add_mesh(
        self, tag: str, vertices: Any, colors: Any = None, faces: Any = None, config: Mapping[str, Any] | None = None,
        step: int | None = None,
    ) -> None:  # fmt: skip
        """Points or triangles in space: vertices [N, V, 3] floats, colors [N, V, 3] of 0 to 255, faces [N, F, 3] ints.

        config: settings of three.js: camera, lights, material.
        """
        from tensorboardX.summary import mesh

        self._open("add_mesh")
        parts = {"vertices": vertices, "colors": colors, "faces": faces}
        kinds = {"vertices": np.float32, "colors": np.uint8, "faces": np.int32}
        found = {}
        for name, value in parts.items():
            given = None if value is None else array(value)
            if given is not None and (given.ndim != 3 or given.shape[2] != 3):
                raise ValueError(f"[SummaryWriter.add_mesh] expected {name} of shape [N, n, 3], got {given.shape}")
            found[name] = None if given is None else given.astype(kinds[name])
        self._add("add_mesh", mesh(tag, found["vertices"], found["colors"], found["faces"], dict(config or {})), step)

    # ------------------------------------------------------------ text, models, embeddings
    def add_text(self, tag: str, text: str, step: int | None = None) -> None:
        """A text, shown as Markdown."""
        from tensorboardX.summary import text as message

        self._add("add_text", message(tag, str(text)), step)

    def add_graph(self, model: Any, *inputs: Any, training: bool = False, **keywords: Any) -> None:
        """The ops of a Module, in boxes that are its layers, found by running it once on example inputs.

        Shapes, dtypes and static arguments are the nodes' attributes. The model is left as it was.
        """
        file = self._open("add_graph")
        trace = trace_module(model, *inputs, training=training, **keywords)
        file.write(graph_def=graph_def(trace).SerializeToString())

    def add_embedding(
        self, vectors: Any, metadata: Any = None, images: Any = None, step: int = 0, tag: str = "default",
        header: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """Vectors [N, D] for the PROJECTOR page, with labels and thumbnails.

        Args:
            metadata: a label per vector (list, tensor), or a list of rows with the names of their columns in `header`.
            images: [N, C, H, W] or [N, H, W], a thumbnail per vector.
        """
        self._open("add_embedding")
        write_embedding(
            "SummaryWriter.add_embedding", self.folder, tag, vectors, metadata, header, images, _step("add_embedding", step)
        )  # fmt: skip

    def add_hparams(
        self, hparams: Mapping[str, Any], metrics: Mapping[str, Any] | Sequence[str], domains: Mapping[str, Domain] | None = None,
        run: str | None = None, step: int | None = None,
    ) -> None:  # fmt: skip
        """What this run's hyperparameters were and how well it did, a line of the HPARAMS page.

        TensorBoard takes names and domains from the first run that it finds, so give all runs of a comparison the same.

        Args:
            hparams: {name: number, string or bool}; None means not set.
            metrics: {tag: number}, written as scalars under these tags; or the tags of scalars that the run has.
            domains: {name: (low, high)} or {name: [values]}, for the page's filters.
            run: a folder below, for several runs by one writer.
        """
        function = "add_hparams"
        if self._has_hparams and run is None:
            raise ValueError(
                "[SummaryWriter.add_hparams] expected one call per run, got a second one; name the runs: run='second'"
            )
        file = self._open(function) if run is None else self._run(function, run)
        numbers = metrics if isinstance(metrics, Mapping) else {}
        made = [_scalar(function, tag, value) for tag, value in numbers.items()]
        for message in [*summaries(f"SummaryWriter.{function}", hparams, list(metrics), domains or {}), *made]:
            self._add(function, message, step, file)
        self._has_hparams = self._has_hparams or run is None

    # ------------------------------------------------------------ the file
    def flush(self) -> None:
        """Hand everything written so far to the operating system."""
        for file in [self._open("flush"), *self._others.values()]:
            file.flush()

    def close(self) -> None:
        """Flush and close; closing twice does no harm."""
        files = [self._file, *self._others.values()]
        self._file, self._others = None, {}
        problem: OSError | None = None
        for file in files:
            try:
                if file is not None:
                    file.close()
            except OSError as error:
                problem = error
        if problem is not None:
            raise problem


def _scalar(function: str, tag: str, value: Any) -> Any:
    from tensorboardX.proto.summary_pb2 import Summary

    number = array(value)
    if number.size != 1 or number.dtype.kind not in "fiub":
        what = f"shape {number.shape}" if number.dtype.kind in "fiub" else f"{value!r:.50}"
        raise ValueError(f"[SummaryWriter.{function}] expected one number for {tag!r}, got {what}")
    return Summary(value=[Summary.Value(tag=str(tag), simple_value=float(number.reshape(())))])


def _step(function: str, step: Any) -> int:
    """A whole number; None stands for 0."""
    number = 0 if step is None else plain(step)
    if isinstance(number, bool) or not isinstance(number, int) or not -(1 << 63) <= number < 1 << 63:
        raise TypeError(f"[SummaryWriter.{function}] expected a whole number as step, got {step!r}")
    return number


__all__ = ["SummaryWriter"]

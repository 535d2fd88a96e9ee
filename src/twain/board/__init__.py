"""TensorBoard: event files with numbers, distributions, pictures, sound, texts, graphs of models, embeddings and
hyperparameters, written and read through the message definitions of the optional tensorboardX package."""

from .events import event_files, read_events
from .export import read_scalars, write_csv, write_html, write_picture
from .writer import SummaryWriter

__all__ = ["SummaryWriter", "event_files", "read_events", "read_scalars", "write_csv", "write_html", "write_picture"]

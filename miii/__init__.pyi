# The public names of miii, each once: read by type checkers, and by __init__.py at import.
from miii import analysis as analysis
from miii import foreign as foreign
from miii import jobs as jobs
from miii import plots as plots
from miii import reports as reports
from miii import runs as runs
from miii import sparse as sparse
from miii.errors import InputError as InputError
from miii.model.config import ModelConfig as ModelConfig
from miii.model.tap import SITES as SITES
from miii.model.tap import capture as capture
from miii.model.tap import identity as identity
from miii.model.tap import intervene as intervene
from miii.model.tap import zero_head as zero_head
from miii.model.transformer import Transformer as Transformer
from miii.model.transformer import answer as answer
from miii.tasks import KINDS as KINDS
from miii.tasks import MIU as MIU
from miii.tasks import TASKS as TASKS
from miii.tasks import Frames as Frames
from miii.tasks import ModularAddition as ModularAddition
from miii.tasks import Primes as Primes
from miii.tasks import Residues as Residues
from miii.tasks import Target as Target
from miii.tasks import Task as Task
from miii.training import Step as Step
from miii.training import train as train
from miii.training.config import RECIPES as RECIPES
from miii.training.config import RunConfig as RunConfig
from miii.training.config import recipe as recipe
from miii.training.evaluation import Evaluation as Evaluation
from miii.training.optim import OPTIMIZERS as OPTIMIZERS
from miii.training.optim import SGD as SGD
from miii.training.optim import AdamW as AdamW
from miii.training.optim import Muon as Muon

__version__: str

"""The accuracies on strings of MIU, under the same labels on every page."""

from miii.tasks import MIU
from pages._tasks.view import Measure, Row, share

AS_LONG, LONGER = "Test, same lengths", "Test, longer strings"


def measures(task: MIU, row: Row) -> list[Measure]:
    """The accuracies in training, and on strings as long and longer."""
    found = [
        Measure("Training accuracy", share(row.get("train_accuracy"))),
        Measure(AS_LONG, share(row.get("accuracy_as_long")), "Held-out strings up to the training length"),
    ]
    if "accuracy_longer" in row:
        found.append(Measure(LONGER, share(row["accuracy_longer"]), "Strings longer than any in training"))
    return found

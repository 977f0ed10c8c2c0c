from ml_agent.core.records import Message
from ml_agent.models import Sampling
from ml_agent.models.embedded import EMBEDDED, embedded_folder, resolve_model
from ml_agent.models.local import LocalModel


def test_the_embedded_model_knows_a_capital_and_ends_its_turn() -> None:
    model = LocalModel.load(EMBEDDED)
    question = [Message(role="user", text="What is the capital of France?")]
    (answers,) = model.sample([question], Sampling(temperature=0, max_tokens=24), seed=0)
    assert "Paris" in answers[0].text
    assert answers[0].finished
    assert answers[0].policy == EMBEDDED


def test_it_is_made_once_and_holds_no_quantisation() -> None:
    folder = embedded_folder()
    assert resolve_model(EMBEDDED) == folder
    assert "quantization_config" not in (folder / "config.json").read_text()
    assert not list(folder.glob("*.gguf"))
    assert not list(folder.parent.glob(".partial-*"))

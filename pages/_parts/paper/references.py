"""Chapter 7 of the paper: the draft's references, put right, and those that are new here."""

from pages._kit import write

ARXIV = "https://arxiv.org/abs/"

#: The draft's references, in its numbers: authors and title, year, number at arXiv, and what is to be said of it.
DRAFT = (
    (
        "Peter Belcák et al., *FACT: Learning Governing Abstractions Behind Integer Sequences*",
        2022,
        "2209.09543",
        "see the errata",
    ),
    (
        "Michael M. Bronstein et al., *Geometric Deep Learning: Grids, Groups, Graphs, Geodesics, and Gauges*",
        2021,
        "2104.13478",
        "",
    ),
    (
        "Arthur Conmy et al., *Towards Automated Circuit Discovery for Mechanistic Interpretability*",
        2023,
        "2304.14997",
        "ACDC, on the page Circuits",
    ),
    (
        "T. M. Cover and Joy A. Thomas, *Elements of Information Theory*, 2nd ed., Wiley-Interscience",
        2006,
        "",
        "",
    ),
    (
        "Bobby He and Thomas Hofmann, *Simplifying Transformer Blocks*",
        2023,
        "2311.01906",
        "blocks `sas` and `sas-p`",
    ),
    (
        "Bobby He et al., *Deep Transformers without Shortcuts: Modifying Self-attention for Faithful Signal Propagation*",
        2023,
        "2302.10322",
        "block `no-shortcut`",
    ),
    (
        "Douglas R. Hofstadter, *Gödel, Escher, Bach: An Eternal Golden Braid*, 20th-anniversary ed., Penguin",
        2000,
        "",
        "",
    ),
    (
        "Anthony Hu et al., *GAIA-1: A Generative World Model for Autonomous Driving*",
        2023,
        "2309.17080",
        "",
    ),
    (
        "Serin Lee and S. Kim, *Exploring Prime Number Classification: Achieving High Recall Rate and Rapid Convergence with Sparse Encoding*",
        2024,
        "2402.03363",
        "",
    ),
    ("Tom M. Mitchell, *Machine Learning*, McGraw-Hill", 1997, "", ""),
    (
        "Neel Nanda et al., *Progress Measures for Grokking via Mechanistic Interpretability*",
        2023,
        "2301.05217",
        "",
    ),
    (
        "Simon J. D. Prince, *Understanding Deep Learning*, The MIT Press",
        2023,
        "",
        "",
    ),
    (
        "Jascha Sohl-Dickstein, *The Boundary of Neural Network Trainability Is Fractal*",
        2024,
        "2402.06184",
        "",
    ),
    (
        "Ashish Vaswani et al., *Attention Is All You Need*",
        2017,
        "1706.03762",
        "",
    ),
)
#: What else the measures here come from.
FURTHER = (
    (
        "Noah Syrkis, *Mechanistic Interpretability on Irreducible Unsigned-Integer Identifiers*, draft",
        2024,
        "",
        "",
    ),
    (
        "Alethea Power et al., *Grokking: Generalization Beyond Overfitting on Small Algorithmic Datasets*",
        2022,
        "2201.02177",
        "",
    ),
    (
        "Ziqian Zhong et al., *The Clock and the Pizza: Two Stories in Mechanistic Explanation of Neural Networks*",
        2023,
        "2306.17844",
        "gradient symmetricity, distance irrelevance, circularity",
    ),
    ("Andrey Gromov, *Grokking modular arithmetic*", 2023, "2301.02679", ""),
    (
        "Michael Hanna et al., *Have Faith in Faithfulness: Going Beyond Circuit Overlap When Finding Model Mechanisms*",
        2024,
        "2403.17806",
        "EAP-IG",
    ),
    (
        "Aaron Mueller et al., *MIB: A Mechanistic Interpretability Benchmark*",
        2025,
        "2504.13151",
        "CPR and CMD",
    ),
)


def line(number: str, reference: tuple[str, int, str, str]) -> str:
    """One reference."""
    text, year, arxiv, said = reference
    link = f" [arXiv {arxiv}]({ARXIV}{arxiv})." if arxiv else ""
    return f"{number} {text}, {year}.{link}" + (f" {said[0].upper()}{said[1:]}." if said else "")


def chapter() -> None:
    """Both lists."""
    write.header("7 References", anchor="references")
    write.text("\n".join(line(f"{i}.", reference) for i, reference in enumerate(DRAFT, 1)))
    write.text("**Further**\n\n" + "\n".join(line("-", reference) for reference in FURTHER))

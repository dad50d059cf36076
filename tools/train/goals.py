"""What the shipped model must reach, and how it is quantised: the figures that finish.py and the
card share."""

# What a held-out set is called in the card, and the share that must be right.
SETS = {"questions": ("questions about pumice", 0.60),
        "outside": ("questions outside, answered with \"I do not know\"", 0.80),
        "turns": ("the name that was given two turns earlier", 0.80),
        "names": ("the same in the words of someone who had seen neither corpus nor answers", 0.80),
        "sums": ("sums and differences of pairs never trained", 0.90)}
LEAST_STOPPED = 0.98                  # of random prompts, within the most tokens of an answer
LEAST_SAME_TOP, MOST_KLD = 0.97, 0.02  # quantised against f16, on every text
MOST_BYTES = 10_000_000               # of the shipped file

TYPES = "q4_k,q6_k"                   # that the quantiser chooses from
METHOD = "gptq"                       # with which it rounds
MIX = "Q4_K_M"                        # what its choice is compared with, at as many bytes
BUDGETS = (MIX, "5.4bpw", "5.8bpw", "6.2bpw", "Q6_K")  # the first within the limits is shipped

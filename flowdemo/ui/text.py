"""What the app says."""

TITLE = "FlowDemo"
INTRO = (
    "**From noise to data, three ways.** Flow matching follows a learnt velocity in many small steps, "
    "reflow straightens its paths so that few suffice, MeanFlow jumps in a single evaluation. "
    "Same noise, same class, your choice of guidance and solver."
)
METHOD_HINTS = {
    "flow-matching": "Learns the velocity v(x, t); many solver steps. Guidance costs a second evaluation.",
    "reflow": "Flow matching on pairs made by a flow: straighter paths, good in one to four steps.",
    "meanflow": "Learns the average velocity u(x, t, s): one evaluation from noise to data.",
}
SAMPLES = "Samples"
PLAYER = (
    "The same samples from noise (t = 0) to data (t = 1). Only states the solver visited are shown."
)
PLANE_IMAGES = (
    "Each line is one sample's way through the plane of the digits' first two principal components; "
    "grey: real digits, numbers: where the classes lie."
)
PLANE_POINTS = "Each line is one point's way from noise to data; grey: real points."
RATES = "How fast the samples move and how sharply they turn: a straight flow has constant speed, no turns."
EXPLAIN = """
- **Samples**: what the chosen network makes from the noise of the chosen seed. Sample *i* starts from the
  same noise whatever the method, so switch the method and compare.
- **Class**: one digit for all, **all** classes in turn, or **any** (no class, no guidance).
- **CFG weight** *w*: 1 is no guidance; more makes samples more typical of their class and less varied.
  Flow matching pays a second evaluation for it; reflow and MeanFlow take *w* as an input of the network.
- **Solver and steps**: how the velocity is followed. `average` is MeanFlow's own step. Adaptive solvers
  take a tolerance instead and choose steps for the whole batch at once, so a sample depends on its batch.
- **NFE**: evaluations of the network on one sample. **Straightness**: 0 when every path is a straight
  line at constant speed; measured along a fine run of the velocity, whatever solver you chose.
- **Accuracy**: the share of these samples that the classifier in this repository takes for their class.
"""
COMPARE = (
    "Every row starts from the same noise and the same classes; move the time slider to see all of them "
    "on their way. Choose ready-made rows, or write your own."
)
ROWS_HELP = "One a line: MODEL:solver:steps:CFG weight, or MODEL:dopri5@1e-3:CFG weight"
QUALITY = (
    "Measured once on each checkpoint with 10,000 samples (2,000 points); nothing is shown where nothing was "
    "measured. The dashed line is what real data reaches. Right: these rows, on this machine."
)
INVERT = (
    "The same equation runs both ways: from the digit at t = 1 back to the noise at t = 0 that it came "
    "from, then forward again as the same or another class, by the same or another method; and along "
    "noises in between to that of another seed."
)
AB = "Drag the handle: the same noise, two rows."
EXPLAIN_COMPARE = """
- **NFE** counts evaluations of the network on one sample; a guided flow-matching step costs two. **ms** is the
  median of warm runs of the whole row on this machine.
- **Accuracy**: the share of these samples that the classifier in this repository takes for their class.
- **Straightness**: 0 when the model's paths are straight lines at constant speed, whatever solver you chose.
- **RMSE to reference**: how far the samples are from the exact solution of the *same* model's equation
  (dopri5 at tolerance 1e-5; for MeanFlow with its velocity u(x, t, t)), in pixels from 0 to 1 or units of
  the plane, over the first 20 images (500 points). It tells what the solver loses; it does not tell which model is better.
- **FD** is the Frechet distance to the test set in the features of that classifier. Accuracy rises with the
  CFG weight while FD gets worse, so read them together.
"""
IDLE = "Ready."
STOPPED = "Stopped."
EXPORT = "Export this run"
EXPORT_ROWS = "Export these rows"
OTHER_WEIGHTS = "The link was made with other weights ({old}); here is the same request with {new}."

"""What the Train tab says, in English and Chinese."""

from flowdemo.ui.shared.text import both

TRAIN_TAB = both("tab-train", "Train", "训练")
TRAIN = both(
    "train-tab",
    "Teach a checkpoint your own pictures: draw ten of a symbol, or bring files. A class of a new name is added; "
    "the old ones stay. About a minute on two cores.",
    "让检查点学习你自己的图片:把一个符号画十次,或上传文件。新名字会成为新类别,旧类别保留。双核上约一分钟。",
)
REFUSED = both(
    "train-refused",
    "This public page does not train on pictures. Duplicate the Space or run FlowDemo on your own machine; "
    "whoever serves it may allow it by `FLOWDEMO_ALLOW_TRAINING=1`.",
    "此公共页面不训练图片。请复制该 Space 或在自己的机器上运行 FlowDemo;部署者可设 `FLOWDEMO_ALLOW_TRAINING=1` 来允许。",
)
KEPT_AN_HOUR = both(
    "train-kept",
    "On this public page the result is offered to you alone, for an hour, as long as this page stays open: take the files.",
    "在此公共页面,结果只对你可见,保留一小时:请下载文件。",
)
CLASS_HELP = both(
    "train-class",
    "A new name becomes a new class; a known class is trained on your pictures too.",
    "新名字成为新类别;已有的类别则再学习你的图片。",
)
UPLOAD_HELP = both(
    "train-upload",
    "Pictures are of the class above; in a zip file the folders are the classes.",
    "单张图片属于上面的类别;zip 文件中文件夹名即类别。",
)
PLACE_HELP = both(
    "train-place",
    "mnist, fashion-mnist, cifar10, owner/name of the Hub, or a folder whose folders are the classes",
    "mnist、fashion-mnist、cifar10、Hub 上的 owner/name,或按类别分文件夹的目录",
)
PLACE_HELP_PUBLIC = both(
    "train-place-public",
    "mnist, fashion-mnist or cifar10",
    "mnist、fashion-mnist 或 cifar10",
)
SHEET = both(
    "train-sheet",
    "Your pictures as the network sees them, after crop and resize.",
    "你的图片在裁剪、缩放之后、网络所见的样子。",
)
NOTHING = both("train-nothing", "Nothing added yet.", "还没有图片。")
SAMPLES = both(
    "train-samples",
    "Samples of the classes it learns, and of a few old ones, always from the same noise.",
    "正在学习的类别与几个旧类别的样本,始终来自同一噪声。",
)
EXPLAIN = both(
    "explain-train-tab",
    """
- Half of each batch are **your pictures**, each moved, turned and scaled a little anew; the network learns them by its method's own loss.
- The other half are **old classes**: samples that the checkpoint made itself before the first step. On these the network must give its original output, so
  nothing is forgotten and no old data is needed.
- A **new class** is a new row of the label table, which starts as the row of "any"; the rows of other classes get no gradient.
- **Frozen**: *all but the conditioning* trains only the layers that embed time, class and weight; *all but the labels* trains only the new rows.
- **Old classes right**: the share of samples of the old classes that the classifier in this repository takes for their class, from the same noise
  before and after.
- **Loss** is what is minimised, each sample's error divided by a power of itself; **error** is the plain squared error. Both are running means.
- The saved weights are a running average, and of these the **best so far**: every ten steps, and at the end, the objective is measured on the same
  pictures, noise and times. **Stop** keeps it; closing the page of your own machine keeps the newest.
""",
    """
- 每批的一半是**你的图片**,每次都重新略作平移、旋转、缩放;网络用其方法本身的损失学习它们。
- 另一半是**旧类别**:检查点在第一步之前自己生成的样本。网络在那里应与原来回答相同,因此不会遗忘,也不需要旧数据。
- **新类别**是标签表的新一行,从“any”那一行开始;其他类别的行没有梯度。
- **冻结**:*all but the conditioning* 只训练把时间、类别、权重变成特征的部分;*all but the labels* 只训练新行。
- **旧类别正确率**:旧类别样本中被本仓库分类器认作其类别的比例,前后用同一噪声。
- **loss** 是被最小化的量,每个样本的误差除以其自身的幂;**error** 是普通平方误差。两者都是滑动平均。
- 保存的权重是滑动平均,并取**目前最好的**:每十步以及结束时,用同样的图片、噪声和时间测量目标函数。**停止**会保留它;在自己的机器上关闭页面则保留最新的。
""",
)
FROZEN_TITLE = both("train-frozen", "What stays frozen", "冻结哪些部分")

"""Korean stories: each genre is a list of beats, each beat a set of sentences with slots."""

import re

from .korean import josa

_SPACE = dict(
    slots=dict(hero="미라 하늘 준 세라 가온".split(), friend="삐삐 토토 깡통".split(),
               planet="온다라 벨로 오를라".split(), ship="은빛 화살|밤의 별|푸른 혜성".split("|"),
               thing="별 지도|푸른 수정|비밀 열쇠".split("|")),
    beats=[
        ["먼 옛날 은하의 끝, {planet} 행성에 {hero:이라는/라는} 젊은 조종사가 살았습니다.",
         "아주 먼 은하의 {planet} 행성에 {hero:이라는/라는} 젊은 조종사가 살았습니다."],
        ["{hero:은/는} 밤마다 하늘을 보며 낡은 우주선 '{ship}'을 고쳤습니다.",
         "{hero:은/는} 낮에는 밭에서 일하고 밤에는 우주선 '{ship}'을 고쳤습니다."],
        ["작은 로봇 {friend:이/가} 언제나 곁에서 도왔습니다.", "가장 친한 친구는 작은 로봇 {friend:이었습니다/였습니다}."],
        ["어느 날 하늘에서 빛이 떨어졌고, 그 안에는 {thing:이/가} 있었습니다.",
         "어느 날 부서진 캡슐에서 {thing:을/를} 찾았습니다."],
        ["곧 어둠의 군대가 {thing:을/를} 찾으러 왔습니다.", "그때 검은 우주선들이 하늘을 가득 채웠습니다."],
        ["{hero:과/와} {friend:은/는} '{ship}'을 타고 별들 사이로 날아올랐습니다.",
         "{hero:은/는} {friend:과/와} 함께 우주선을 타고 하늘로 날아올랐습니다."],
        ["붉은 빛이 쏟아졌지만 {hero:은/는} 침착하게 운석 사이를 지나갔습니다.",
         "적들이 쫓아왔지만 {hero:은/는} 마음을 가라앉히고 별을 믿었습니다."],
        ["마침내 {hero:은/는} {thing:을/를} 자유의 별에 전했습니다.", "마침내 {thing:은/는} 자유의 별에 닿았습니다."],
        ["은하에 다시 평화가 찾아왔고, 모두가 함께 노래했습니다.", "사람들은 춤을 추었고 은하에는 평화가 찾아왔습니다."],
        ["{hero:은/는} 다시 하늘을 보며 다음 모험을 꿈꾸었습니다.", "그리고 '{ship}'은 다음 모험을 기다렸습니다."],
    ])

_ANIMAL = dict(
    slots=dict(hero="고양이 강아지 토끼 여우 곰 로봇 오리".split(), name="콩이 보리 나나 두부 별이".split(),
               friend="다람쥐 참새 개구리".split(), place="숲속 마을|작은 농장|조용한 공원".split("|"),
               thing="공 연 모자".split()),
    beats=[
        ["옛날 옛적 {place}에 {name:이라는/라는} 작은 {hero:이/가} 살았습니다.",
         "{place}에 {name:이라는/라는} 작은 {hero:이/가} 살고 있었습니다."],
        ["{name:은/는} {thing:을/를} 가장 좋아했습니다.", "{name:은/는} 날마다 {thing:을/를} 가지고 놀았습니다."],
        ["어느 날 바람이 불어 {thing:이/가} 사라졌습니다.", "그런데 어느 아침 {thing:이/가} 보이지 않았습니다."],
        ["{name:은/는} 여기저기 찾아보았지만 찾을 수 없었습니다.", "{name:은/는} 슬퍼서 울었습니다."],
        ["그때 {friend:이/가} 다가와 말했습니다. \"같이 찾아보자.\"",
         "그때 지나가던 {friend:이/가} 물었습니다. \"왜 우니? 내가 도와줄게.\""],
        ["둘은 냇물을 건너고 언덕을 올라갔습니다.", "둘은 나무 밑과 돌 뒤를 살펴보았습니다."],
        ["마침내 커다란 나무 위에서 {thing:을/를} 찾았습니다.", "드디어 풀밭에서 {thing:을/를} 찾았습니다."],
        ["{name:은/는} 정말 기뻤습니다.", "{name:은/는} {friend:에게/에게} 고맙다고 말했습니다."],
        ["그날부터 둘은 가장 친한 친구가 되었습니다.", "그 뒤로 둘은 무엇이든 함께 나누었습니다."],
    ])

_TIGER = dict(
    slots=dict(hero="돌쇠 순이 막내 바우".split(), beast="호랑이 용 도깨비".split(),
               thing="금종|은방울|요술 부채|황금 감".split("|"), place="산골 마을|바닷가 마을".split("|")),
    beats=[
        ["옛날 옛적 {place}에 {hero:이라는/라는} 용감한 아이가 살았습니다.",
         "옛날에 {place}에 {hero:이라는/라는} 마음씨 착한 아이가 있었습니다."],
        ["마을 뒷산에는 무서운 {beast:이/가} 살았습니다.", "사람들은 산속의 {beast:을/를} 무서워했습니다."],
        ["어느 날 마을의 {thing:이/가} 없어졌습니다.", "어느 겨울밤 {thing:이/가} 사라졌습니다."],
        ["\"제가 찾아오겠습니다.\" {hero:이/가} 말했습니다.", "{hero:은/는} 떡을 싸서 산으로 올라갔습니다."],
        ["동굴에서 {beast:은/는} 혼자 울고 있었습니다.", "산꼭대기에는 {beast:이/가} 외롭게 앉아 있었습니다."],
        ["\"외로워서 {thing:을/를} 가져왔어.\" {beast:이/가} 말했습니다.",
         "\"친구가 없어서 그랬어.\" {beast:이/가} 작은 소리로 말했습니다."],
        ["{hero:은/는} 떡을 나누어 주며 웃었습니다.", "\"그럼 내가 친구가 되어 줄게.\" {hero:이/가} 말했습니다."],
        ["{beast:은/는} {thing:을/를} 돌려주고 함께 마을로 내려왔습니다.", "둘은 {thing:을/를} 들고 마을로 돌아왔습니다."],
        ["그 뒤로 모두 사이좋게 살았습니다.", "그 뒤로 마을에는 웃음소리가 그치지 않았습니다."],
    ])

GENRES = {"space": _SPACE, "animal": _ANIMAL, "tiger": _TIGER}
TOPICS = {"space": ["우주", "스타워즈", "우주 모험", "우주선", "별", "은하", "젊은 조종사"], "animal": [],
          "tiger": ["용", "호랑이", "도깨비", "용감한 아이", "옛날 마을", "우정"]}
_ASK = ["{}에 대한 짧은 이야기를 써 주세요.", "{} 이야기를 해 주세요.", "{}에 대한 이야기를 들려주세요.",
        "{} 이야기 해 줘.", "{}에 관한 짧은 이야기를 써 줘.", "{}에 대해 짧은 이야기를 지어 주세요.",
        "{j} 나오는 이야기를 해 주세요.", "{j} 나오는 이야기를 써 줘.", "{j} 나오는 동화를 들려주세요."]
_ASK_ANY = ["이야기를 하나 해 주세요.", "짧은 이야기를 들려주세요.", "옛날이야기 해 줘.", "이야기 하나 해 줘.",
            "재미있는 이야기를 써 주세요."]
_SLOT = re.compile(r"\{(\w+)(?::([^}]+))?\}")


def _fill(sentence, slots):
    return _SLOT.sub(lambda m: josa(slots[m[1]], m[2]) if m[2] else slots[m[1]], sentence)


def story(rng, genre=None):
    """(question, story)."""
    genre = genre or rng.choice(list(GENRES))
    spec = GENRES[genre]
    slots = {name: rng.choice(values) for name, values in spec["slots"].items()}
    text = " ".join(_fill(rng.choice(beat), slots) for beat in spec["beats"])
    topic = slots["hero"] if genre == "animal" else rng.choice(TOPICS[genre])
    if genre == "tiger" and rng.random() < 0.4:
        topic = slots["beast"]
    if genre != "space" and rng.random() < 0.25:
        return rng.choice(_ASK_ANY), text
    return rng.choice(_ASK).format(topic, j=josa(topic, "이/가")), text

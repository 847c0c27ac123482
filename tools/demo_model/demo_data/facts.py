"""Fact tables, English and Korean side by side."""

# country, capital, continent, Korean country, Korean capital
CAPITALS = [tuple(line.split("|")) for line in """
India|New Delhi|Asia|인도|뉴델리
France|Paris|Europe|프랑스|파리
Germany|Berlin|Europe|독일|베를린
Italy|Rome|Europe|이탈리아|로마
Spain|Madrid|Europe|스페인|마드리드
Portugal|Lisbon|Europe|포르투갈|리스본
the United Kingdom|London|Europe|영국|런던
Ireland|Dublin|Europe|아일랜드|더블린
the Netherlands|Amsterdam|Europe|네덜란드|암스테르담
Belgium|Brussels|Europe|벨기에|브뤼셀
Switzerland|Bern|Europe|스위스|베른
Austria|Vienna|Europe|오스트리아|빈
Poland|Warsaw|Europe|폴란드|바르샤바
Sweden|Stockholm|Europe|스웨덴|스톡홀름
Norway|Oslo|Europe|노르웨이|오슬로
Denmark|Copenhagen|Europe|덴마크|코펜하겐
Finland|Helsinki|Europe|핀란드|헬싱키
Iceland|Reykjavik|Europe|아이슬란드|레이캬비크
Greece|Athens|Europe|그리스|아테네
Hungary|Budapest|Europe|헝가리|부다페스트
Romania|Bucharest|Europe|루마니아|부쿠레슈티
Bulgaria|Sofia|Europe|불가리아|소피아
Croatia|Zagreb|Europe|크로아티아|자그레브
Serbia|Belgrade|Europe|세르비아|베오그라드
Ukraine|Kyiv|Europe|우크라이나|키이우
Russia|Moscow|Europe|러시아|모스크바
Turkey|Ankara|Asia|튀르키예|앙카라
the Czech Republic|Prague|Europe|체코|프라하
South Korea|Seoul|Asia|대한민국|서울
North Korea|Pyongyang|Asia|북한|평양
Japan|Tokyo|Asia|일본|도쿄
China|Beijing|Asia|중국|베이징
Mongolia|Ulaanbaatar|Asia|몽골|울란바토르
Vietnam|Hanoi|Asia|베트남|하노이
Thailand|Bangkok|Asia|태국|방콕
Cambodia|Phnom Penh|Asia|캄보디아|프놈펜
Laos|Vientiane|Asia|라오스|비엔티안
Malaysia|Kuala Lumpur|Asia|말레이시아|쿠알라룸푸르
Indonesia|Jakarta|Asia|인도네시아|자카르타
the Philippines|Manila|Asia|필리핀|마닐라
Singapore|Singapore|Asia|싱가포르|싱가포르
Nepal|Kathmandu|Asia|네팔|카트만두
Bangladesh|Dhaka|Asia|방글라데시|다카
Pakistan|Islamabad|Asia|파키스탄|이슬라마바드
Afghanistan|Kabul|Asia|아프가니스탄|카불
Iran|Tehran|Asia|이란|테헤란
Iraq|Baghdad|Asia|이라크|바그다드
Saudi Arabia|Riyadh|Asia|사우디아라비아|리야드
Qatar|Doha|Asia|카타르|도하
Jordan|Amman|Asia|요르단|암만
Egypt|Cairo|Africa|이집트|카이로
Morocco|Rabat|Africa|모로코|라바트
Kenya|Nairobi|Africa|케냐|나이로비
Ethiopia|Addis Ababa|Africa|에티오피아|아디스아바바
Nigeria|Abuja|Africa|나이지리아|아부자
Ghana|Accra|Africa|가나|아크라
Senegal|Dakar|Africa|세네갈|다카르
South Africa|Pretoria|Africa|남아프리카 공화국|프리토리아
the United States|Washington, D.C.|North America|미국|워싱턴 D.C.
Canada|Ottawa|North America|캐나다|오타와
Mexico|Mexico City|North America|멕시코|멕시코시티
Cuba|Havana|North America|쿠바|아바나
Brazil|Brasilia|South America|브라질|브라질리아
Argentina|Buenos Aires|South America|아르헨티나|부에노스아이레스
Chile|Santiago|South America|칠레|산티아고
Peru|Lima|South America|페루|리마
Colombia|Bogota|South America|콜롬비아|보고타
Venezuela|Caracas|South America|베네수엘라|카라카스
Ecuador|Quito|South America|에콰도르|키토
Uruguay|Montevideo|South America|우루과이|몬테비데오
Australia|Canberra|Oceania|호주|캔버라
New Zealand|Wellington|Oceania|뉴질랜드|웰링턴
""".strip().splitlines()]

# Other names users give the same country.
COUNTRY_ALIASES = {"the United States": ["the USA", "the US", "America"],
                   "the United Kingdom": ["the UK", "England", "Great Britain"],
                   "South Korea": ["Korea", "the Republic of Korea"]}
COUNTRY_ALIASES_KO = {"대한민국": ["한국"], "호주": ["오스트레일리아"], "튀르키예": ["터키"]}

CONTINENT_KO = {"Asia": "아시아", "Europe": "유럽", "Africa": "아프리카",
                "North America": "북아메리카", "South America": "남아메리카",
                "Oceania": "오세아니아"}

# country, language, currency, Korean language, Korean currency
COUNTRY_MORE = [tuple(line.split("|")) for line in """
France|French|the euro|프랑스어|유로
Germany|German|the euro|독일어|유로
Italy|Italian|the euro|이탈리아어|유로
Spain|Spanish|the euro|스페인어|유로
Japan|Japanese|the yen|일본어|엔
China|Chinese|the yuan|중국어|위안
South Korea|Korean|the won|한국어|원
the United States|English|the US dollar|영어|달러
the United Kingdom|English|the pound|영어|파운드
Brazil|Portuguese|the real|포르투갈어|헤알
Russia|Russian|the ruble|러시아어|루블
Mexico|Spanish|the peso|스페인어|페소
Vietnam|Vietnamese|the dong|베트남어|동
Thailand|Thai|the baht|태국어|밧
""".strip().splitlines()]

PLANETS = ["Mercury", "Venus", "Earth", "Mars", "Jupiter", "Saturn", "Uranus", "Neptune"]
PLANETS_KO = ["수성", "금성", "지구", "화성", "목성", "토성", "천왕성", "해왕성"]
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth",
            "ninth", "tenth", "eleventh", "twelfth"]
ORDINALS_KO = ["첫 번째", "두 번째", "세 번째", "네 번째", "다섯 번째", "여섯 번째", "일곱 번째",
               "여덟 번째", "아홉 번째", "열 번째", "열한 번째", "열두 번째"]

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
DAYS_KO = ["월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August",
          "September", "October", "November", "December"]
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

# animal, sound, baby, legs, kind, Korean animal, Korean sound, Korean kind
ANIMALS = [tuple(line.split("|")) for line in """
dog|woof|puppy|4|mammal|개|멍멍|포유류
cat|meow|kitten|4|mammal|고양이|야옹|포유류
cow|moo|calf|4|mammal|소|음매|포유류
sheep|baa|lamb|4|mammal|양|매애|포유류
pig|oink|piglet|4|mammal|돼지|꿀꿀|포유류
horse|neigh|foal|4|mammal|말|히힝|포유류
duck|quack|duckling|2|bird|오리|꽥꽥|조류
chicken|cluck|chick|2|bird|닭|꼬끼오|조류
lion|roar|cub|4|mammal|사자|어흥|포유류
frog|ribbit|tadpole|4|amphibian|개구리|개굴개굴|양서류
""".strip().splitlines()]

# thing, color, Korean thing, Korean color
COLORS = [tuple(line.split("|")) for line in """
the sky|blue|하늘|파란색
grass|green|풀|초록색
a banana|yellow|바나나|노란색
snow|white|눈|하얀색
coal|black|석탄|검은색
a strawberry|red|딸기|빨간색
an orange|orange|오렌지|주황색
a lemon|yellow|레몬|노란색
the sea|blue|바다|파란색
blood|red|피|빨간색
milk|white|우유|하얀색
chocolate|brown|초콜릿|갈색
a cucumber|green|오이|초록색
a tomato|red|토마토|빨간색
""".strip().splitlines()]

COLOR_MIX = [("red", "blue", "purple", "빨간색", "파란색", "보라색"),
             ("blue", "yellow", "green", "파란색", "노란색", "초록색"),
             ("red", "yellow", "orange", "빨간색", "노란색", "주황색"),
             ("black", "white", "gray", "검은색", "하얀색", "회색"),
             ("red", "white", "pink", "빨간색", "하얀색", "분홍색")]

# how many X in Y: small, big, number, Korean small, Korean big, Korean unit text
UNITS = [tuple(line.split("|")) for line in """
seconds|a minute|60|1분|60초|초
minutes|an hour|60|1시간|60분|분
hours|a day|24|하루|24시간|시간
days|a week|7|일주일|7일|일
days|a year|365|1년|365일|일
weeks|a year|52|1년|52주|주
months|a year|12|1년|12개월|개월
years|a decade|10|10년||
years|a century|100|한 세기|100년|년
centimeters|a meter|100|1미터|100센티미터|센티미터
meters|a kilometer|1000|1킬로미터|1000미터|미터
grams|a kilogram|1000|1킬로그램|1000그램|그램
millimeters|a centimeter|10|1센티미터|10밀리미터|밀리미터
milliliters|a liter|1000|1리터|1000밀리리터|밀리리터
kilograms|a ton|1000|1톤|1000킬로그램|킬로그램
bits|a byte|8|1바이트|8비트|비트
cents|a dollar|100|1달러|100센트|센트
""".strip().splitlines()]

OPPOSITES = [tuple(p.split("/")) for p in """hot/cold big/small up/down left/right day/night
black/white fast/slow happy/sad old/young open/closed high/low early/late good/bad wet/dry
light/dark hard/soft long/short rich/poor full/empty true/false strong/weak""".split()]
OPPOSITES_KO = [tuple(p.split("/")) for p in """뜨겁다/차갑다 크다/작다 위/아래 왼쪽/오른쪽 낮/밤
빠르다/느리다 기쁘다/슬프다 열다/닫다 높다/낮다 좋다/나쁘다 길다/짧다 많다/적다 밝다/어둡다
강하다/약하다 가다/오다""".split()]

# English word, Korean word
WORDS = [tuple(p.split("/")) for p in """hello/안녕하세요 goodbye/안녕히_가세요 thank_you/감사합니다
sorry/죄송합니다 yes/네 no/아니요 cat/고양이 dog/개 water/물 fire/불 love/사랑 friend/친구 school/학교
book/책 apple/사과 house/집 tree/나무 flower/꽃 sun/해 moon/달 star/별 sky/하늘 sea/바다
mountain/산 river/강 mother/어머니 father/아버지 teacher/선생님 student/학생 car/자동차
music/음악 time/시간 food/음식 rice/밥 milk/우유 coffee/커피 computer/컴퓨터 bird/새 fish/물고기
door/문""".replace("\n", " ").split()]
WORDS = [(a.replace("_", " "), b.replace("_", " ")) for a, b in WORDS]

LISTS = {  # kind: items, and their Korean forms in the same order
    "fruits": (["apple", "banana", "orange", "grape", "strawberry"],
               "과일", ["사과", "바나나", "오렌지", "포도", "딸기"]),
    "animals": (["dog", "cat", "lion", "horse", "rabbit"],
                "동물", ["개", "고양이", "사자", "말", "토끼"]),
    "colors": (["red", "blue", "green", "yellow", "purple"],
               "색깔", ["빨간색", "파란색", "초록색", "노란색", "보라색"]),
    "vegetables": (["carrot", "potato", "onion", "cabbage", "spinach"],
                   "채소", ["당근", "감자", "양파", "양배추", "시금치"]),
    "countries": (["France", "Japan", "Brazil", "Egypt", "Canada"],
                  "나라", ["프랑스", "일본", "브라질", "이집트", "캐나다"]),
    "sports": (["soccer", "tennis", "basketball", "swimming", "baseball"],
               "스포츠", ["축구", "테니스", "농구", "수영", "야구"]),
    "programming languages": (["C++", "Python", "Java", "Rust", "Go"],
                              "프로그래밍 언어", ["C++", "Python", "Java", "Rust", "Go"]),
}

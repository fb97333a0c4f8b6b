"""What the demo's agency has and sends: a campaign, a good file, a bad one.

The numbers are nobody's: those that begin with 6599 are the guide's own examples, and the others are the test environment's,
which fail each with its own error.
"""

from typing import Final

from rules.templates import Language

AGENCY: Final = "Riverside Library"
CAMPAIGN_NAME: Final = "Book reminders"
NOTIFY_ADDRESS: Final = "night-desk@library.example"
# Whose campaign it is, and who logs in to the console. No e-mail leaves the machine.
AGENCY_DOMAIN: Final = "library.gov.sg"
OFFICER: Final = f"amy@{AGENCY_DOMAIN}"
BODIES: Final = {
    Language.ENGLISH: "Dear {{name}}, please return {{title}} by {{due}}. Reply is not possible.",
    Language.CHINESE: "{{name}}您好，请于{{due}}前归还《{{title}}》。",
}

GOOD_NAME: Final = "reminders.csv"
GOOD: Final = """\
recipient,language,name,title,due
6599999999,english,Emily Yeo,"Gardens, Ponds and Paths",12 Dec
6599999998,chinese,陈俊杰,红楼梦,12月12日
6599999997,english,Nur Aisyah,A Tale of Two Cities,14 Dec
6511111111,english,Daniel Lim,Night Trains,14 Dec
6511112222,english,Kavitha Nair,The Rain Tree,15 Dec
6511113333,chinese,林美玲,西游记,12月15日
6511114444,english,James Tan,Sea Stories,15 Dec
6511115555,english,Siti Rahimah,Island Birds,16 Dec
6511119999,english,Arun Kumar,Old Maps,16 Dec
6522222222,english,Grace Wong,River Towns,16 Dec
6599999996,english,Peter Ng,The Long Bridge,17 Dec
6599999995,chinese,黄文辉,水浒传,12月17日
6599999994,english,Mei Tan,Tides,17 Dec
6599999993,english,Farid Rahman,Kites and Winds,17 Dec
6599999992,english,Anita Rao,Lamps,18 Dec
6599999991,chinese,吴雅文,三国演义,12月18日
6599999990,english,Joseph Chua,Hill Stations,18 Dec
6599999989,english,Lina Goh,Paper Boats,18 Dec
6599999988,english,Hafiz Salleh,Monsoon,19 Dec
6599999987,english,Ravi Menon,The Tea Road,19 Dec
"""

BAD_NAME: Final = "reminders-with-faults.csv"
BAD: Final = """\
recipient,language,name,title,due
6599999999,english,Emily Yeo,Gardens and Ponds,12 Dec
+6599999998,english,James Tan,Sea Stories,12 Dec
99999997,tamil,Kavitha,The Rain Tree,13 Dec
6599999996,english,Nur Aisyah,“Quoted” Tales,
6.59E+09,english,Daniel Lim,Night Trains,14 Dec
"""

# What is sent by the HTTP API.
SINGLE: Final[dict[str, object]] = {
    "recipient": "6599999981",
    "language": "english",
    "values": {"name": "Emily Yeo", "title": "Tides", "due": "12 Dec"},
}

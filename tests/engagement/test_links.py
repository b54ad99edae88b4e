import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagement.links import find_links

REFUSED = [
    "bit.ly", "bit.ly/abc", "see bit . ly now", "bit .ly", "bit. ly", "bit[dot]ly", "bit (dot) ly",
    "bit {dot} ly", "bit dot ly", "bit[.]ly", "b i t . l y", "b.i.t.l.y / b i t . l y", "ｂｉｔ．ｌｙ",
    "bit。ly", "bіt.ly", "ЬIT.LY", "bit\u200b.ly", "bit.\u200bly", "b\u00adit.ly", "ⓑⓘⓣ.ⓛⓨ", "𝗯𝗶𝘁.𝗹𝘆",
    "ʙɪᴛ.ʟʏ", "b\u0336i\u0336t\u0336.\u0336l\u0336y", "http://1.2.3.4", "hxxp://x", "https : // shop",
    "www.shop", "www . shop . com", "go to example.com!", "Example.COM", "my-shop.store", "a.b.co.uk/x?y=1",
    "192.168.0.1", "10.0.0.1:8080/x", "[2001:db8::1]", "wa.me/639171234567", "t.me/shop", "магазин.рф",
    "shop.онлайн", "xn--80ak6aa92e.com", "buy.xn--p1ai", "mail me@shop.ph", "me at gmail dot com",
    "shop,com/deal", "{shop}.com", "123.com", "my shop . store", "WhatsApp 0917 123 4567",
    "telegram: @bestshop", "+63 917 123 4567", "evil.com?market.example", "https://market.example@evil.com",
    "market.example.evil.com", "evilmarket.example", "mаrket.example",
    "evil●com", "evil⚫com/x", "evil🔵com", "evil°com", "evil点com", "evil\u2800.com", "evil *dot* com",
    "evil -dot- com", "evil_dot_com", "evil punto com", "me at gmail com", "IG: @myshop", "ig @myshop",
    "tele: @bestshop", "ไลน์ @bestshop", "follow @shop_real on TikTok", "Line ID: bestshop", "wa me/639171234567",
    "Call 0917 123 4567", "Text 0917-123-4567", "０９１７１２３４５６７", "0️⃣9️⃣1️⃣7️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣", "0812-3456-7890",
    "evil,com", "go to evil,com!", "bit.l y", "see shop.c o m", "evildotcom", "evil-dotcom now",
    "00639171234567", "Wa.Me/639171234567", "Evil.Com now", "Evil.Shop", "EVIL.GURU", "evil. com now",
    "(0917) 123-4567", "0917/123/4567", "0917_123_4567", "63-917-123-4567", "639171234567", "62 812 3456 7890",
    "O917 123 4567", "०९१७१२३४५६७", "11 91234-5678", "(11) 91234-5678", "zap: 11912345678", "wpp 11912345678",
    "Order at 0917 123 4567.", "No.09171234567", "LINE: evil123", "line evil_123", "wechat evil123", "IG: evilshop",
    "Tele: evilshop99", "w.a.m.e/639171234567", "w.a.m.e/shop", "gmail: evilshop", "evil%2Ecom", "evil%2ecom",
    "evil&#46;com", "e.v.i.l.c.o.m", "evil|dot|com", 'evil "dot" com', "evil “dot” com", "evil[d o t]com",
    "evil D O T com", "evil._com", "evil./com", "evil.\\com", "evil point com", "evil .c om", "evil.co m",
    "www evil com", "tinyurl com/abc", "Go to Evil.Me now", "Go to Evil.In now", "evil.c0m", "evil.sh0p/x",
    "evil.ꮯꮎꮇ", "evil.ᏟᎾᎷ", "evil.ςom", "evil.©om", "🅔🅥🅘🅛.🅒🅞🅜", "🇪🇻🇮🇱.com", "evil.ⲥⲟⲙ", "evil.ꓚꓳꓟ",
    "Look...evil.com", "Look..my-evil.com", "evil.com_", "_evil.com_", "evil.com-", "-evil.com", "evil.com—now", "0917–123–4567", "[0917] 123 4567",
    "02-8123-4567", "(02) 8123-4567", "081-234-5678", "call me 9171234567", "加微信evil123", "lineid evil123",
    "evil\u02d9com", "evil\u0589com", "evil\u066bcom", "evil\u0660com", "evil\u2804com", "evil\u2840com",
    "evil\ua4f8com", "evil\u2d57com", "market.example or mаrket.example", "1.2.3.4:80", "https://market.example%40evil.com",
]  # fmt: skip
ALLOWED = [
    "", "Hello {buyer}, greetings from {shop}.", "New mugs today. It is time. Come in. My best, Ana",
    "Only ₱1,299.50, was 1.500.000", "1.5kg, 2.5 L, 3.14", "Open 9 a.m. to 5 p.m., e.g. Sunday", "No.1 shop",
    "Wait... come back…", "Size 2.xl? Ask us.", "50% off until 30.11.2026", "at 10:30 — 12.30",
    "Ready today . it starts now", "你好。欢迎光临。今天打折", "ยินดีต้อนรับ. ลดราคา", "Version 2.0.1",
    "Order 202611180001234 is on its way", "polka dot dress", "Hi :) / bye", "A line of 12 mugs",
    "See market.example/sale", "https://shop.market.example/p/1", "Thanks!\n\nAna", "U.S.A. sizes",
    "Thank you.Order now", "Mura na.Bili na kayo!", "Hi {buyer}.Welcome to {shop}.Enjoy", "St.Petersburg",
    "Dr.Martens, St.Ives and J.Co donuts", "Sta.Cruz, Brgy.San Jose", "Free shipping.No minimum",
    "Frete grátis. Com cupom", "Chega hoje. Com amor", "Diskon besar. Info lebih lanjut: chat ya",
    "Net 500g. Top picks. Net weight 500 g", "Selamat pagi. Im ready", "Tel: none", "a red dot in white",
    "Only 3.5kg left", "Rp1.500.000 or R$1.299,90", "Voucher 0123456789012, SKU 8991234567890", "Red●Blue●Green",
    "Barato,com frete", "Mugs,bowls,plates", "the dotcom years", "polkadot dresses", "Size S,M,L",
    "30°C today", "Sa inyo lang po. At may regalo pa.", "มีของใหม่.ลดราคา", "11.11 sale",
    "Up to 70% off.Shop now", "New arrivals.Sale starts now", "Grátis.Com frete", "Frete grátis.Use o cupom",
    "Sr.João", "Exmo. Sr. Silva", "Obrigado. Pe de moleque em promoção.", "Node.js t-shirts and ASP.NET mugs",
    "Hanggang Nov. 30 lang po. Ph standard size.", "Best for men. Ph level 5.5", "Order no. 0912345678901 shipped",
    "Barcode 0812345678905", "Tracking no. 0917 123 4567 890", "Signal no. 12345678 arrives", "Ukuran 36.37.38.39",
    "Size: S.M.L.XL", "R.G. e C.P.F.", "Disponível com/sem alça", "₱50 per pc./kg", "Made in Manila.🇵🇭 Ships to 🇸🇬",
    "Sale.In-store only", "CNPJ 01.234.567/0001-90, CPF 012.345.678-90", "09-12-2026 to 08/12/2026",
    "Our line is open 24/7", "IG-famous serum 30ml", "Line up at 9! WA state apples, 1kg", "A new line: cotton",
    "Promo 08.12.2026 10:00", "Até 09/12/2026 das 10h", "S A L E now, F R E E shipping", "20%30% off",
    "see https://market.example/sale?x=%20b&copy=2", "At one point, sale prices end", "Signal: strong",
    "São Paulo.SP e Rio de Janeiro.RJ", "Mr. Ms. Cruz",
]  # fmt: skip


@pytest.fixture(autouse=True)
def domains(settings):
    settings.MARKETPLACE_DOMAINS = ["market.example"]


@pytest.mark.parametrize("text", REFUSED)
def test_a_link_outside_the_marketplace_is_found_however_it_is_hidden(text):
    assert find_links(text)


@pytest.mark.parametrize("text", ALLOWED)
def test_ordinary_words_prices_and_own_addresses_are_no_links(text):
    assert find_links(text) == []


def test_what_was_found_is_named_in_plain_letters():
    assert find_links("look: ｂｉｔ．ｌｙ, and bit [dot] ly") == ["bit.ly"]
    assert find_links("a voucher for you. See bit . ly too") == ["bit.ly"]


def test_an_address_that_stands_in_another_is_named_once():
    assert find_links("see https://evil.example.com, wow") == ["https://evil.example.com"]
    assert find_links("evil.com/x and mail a@evil.com or other.com") == ["evil.com", "other.com"]


def test_without_own_domains_every_address_is_refused(settings):
    settings.MARKETPLACE_DOMAINS = []
    assert find_links("market.example/sale") == ["market.example"]


@given(st.text(max_size=500))
def test_any_text_is_read_without_failing(text):
    find_links(text)


@given(st.sampled_from(["bit.ly", "shop.ph", "evil.com"]), st.sampled_from("\u200b\u200c\u2060\u00ad\ufeff"))
def test_invisible_characters_hide_nothing(address, mark):
    assert address in find_links(mark.join(address))

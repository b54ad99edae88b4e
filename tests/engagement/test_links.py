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


def test_without_own_domains_every_address_is_refused(settings):
    settings.MARKETPLACE_DOMAINS = []
    assert find_links("market.example/sale") == ["market.example"]


@given(st.text(max_size=500))
def test_any_text_is_read_without_failing(text):
    find_links(text)


@given(st.sampled_from(["bit.ly", "shop.ph", "evil.com"]), st.sampled_from("\u200b\u200c\u2060\u00ad\ufeff"))
def test_invisible_characters_hide_nothing(address, mark):
    assert address in find_links(mark.join(address))
